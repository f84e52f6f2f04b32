"""GSDD from its description: inverted patches whose features are matched class by class."""

from dataclasses import replace
from importlib import import_module

import pytest
import torch
from grouped import grouped

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import to_float
from srdistill.networks import build_network
from srdistill.papers.labelfree.gsdd import FeatureMatching, gsdd
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.priors.autoencoder import AutoencoderRecipe, train_autoencoder
from srdistill.priors.inversion import InversionRecipe
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.training import resumable as resumable_module
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

# The wing's face has the function under this name.
module = import_module("srdistill.papers.labelfree.gsdd")

SIZE, CLASSES = 32, 3


@pytest.fixture(scope="module")
def given():
    real = photos("train").center_crop(128)
    pool = pseudo_labelled_patches(
        real, size=SIZE, generator=generator_for(0, "patches"),
        selection=Selection(quantile=0.9, stride=16, features="hog", clusters=CLASSES),
    )
    prior = train_autoencoder(
        real, generator=generator_for(0, "prior"), recipe=AutoencoderRecipe(iterations=60, width=8, patch=16)
    )
    network = build_network("RRDBNet", 4, 0, width=8, depth=1, growth=4)
    return real, {"pool": pool, "prior": prior, "network": network, "size": SIZE,
                  "inversion": InversionRecipe(iterations=5)}  # fmt: skip


def made(given, seed=0, **changed):
    real, settings = given
    options = {"count": 6, "iterations": 6} | settings | changed
    return gsdd(real, generator=generator_for(seed, "set"), **grouped(FeatureMatching, "matching", options))


def statistics(network, images):
    """Mean and deviation per channel, straight from the definition."""
    features = network.after_body(network.body(network.head(to_float(images)))).double()
    by_channel = features.transpose(0, 1).flatten(1)
    return by_channel.mean(1), by_channel.std(1, correction=0)


def distance(given, images, ipc):
    """What is minimised, by a plain loop over the classes."""
    _, settings = given
    network, pool = settings["network"], settings["pool"]
    patches, labels = pool.images(), pool.label
    with torch.no_grad():
        _, spread = statistics(network, patches)
        values = []
        for index in range(CLASSES):
            ours = statistics(network, images[index * ipc : (index + 1) * ipc])
            theirs = statistics(network, patches[labels == index])
            values.append(
                torch.stack([(one - other) / spread for one, other in zip(ours, theirs, strict=True)]).square().mean()
            )
    return torch.stack(values).mean().item()


def test_distance_falls_and_is_the_one_of_the_definition(given):
    found = made(given, iterations=40, lr=0.05, regulariser=0.0)
    assert found.images.shape == (6, 3, SIZE, SIZE) and found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    curve = found.history["distance"]
    assert curve[-1] < 0.7 * curve[0]
    start = made(given, iterations=1, lr=0.0)
    # Stored images are rounded to 8 bits, those of the first iteration were not.
    assert distance(given, start.images, 2) == pytest.approx(curve[0], rel=0.02)
    assert distance(given, found.images, 2) < distance(given, start.images, 2)


def test_gradient_is_that_of_the_whole_class_at_once(given):
    once, in_parts = made(given, count=9, chunk=9), made(given, count=9, chunk=2)
    assert torch.allclose(torch.tensor(once.history["distance"]), torch.tensor(in_parts.history["distance"]), rtol=1e-3)
    assert (once.images.int() - in_parts.images.int()).abs().max() <= 1


def test_looking_at_few_real_patches_is_close_to_looking_at_all(given):
    whole, some = made(given), made(given, most_real=40)
    assert not torch.equal(whole.images, some.images)
    assert some.history["distance"][0] == pytest.approx(whole.history["distance"][0], rel=0.5)
    assert made(given, most_real=100_000).digest == whole.digest


def test_regulariser_keeps_codes_near_their_inversions(given):
    free, held = made(given, iterations=20, lr=0.05, regulariser=0.0), made(given, iterations=20, lr=0.05, regulariser=100.0)
    assert held.history["regulariser"][-1] < 0.3 * free.history["regulariser"][-1]
    assert held.history["regulariser"][0] == 0


def test_same_seed_same_set_and_another_seed_other_patches(given):
    first, again = made(given), made(given)
    assert first.digest == again.digest
    assert made(given, seed=1).digest != first.digest


@pytest.mark.parametrize("every", [1, 2])
def test_resumed_equals_uninterrupted(given, tmp_path, interrupt, every):
    """Before the inversion, within it, and twice within the matching, which alone has a step 5."""
    whole = made(given)
    checkpoint = Checkpoint(tmp_path / "gsdd", "key", every)
    for at, left in ((0, set()), (3, {"gsdd.inversion.codes"}), (5, {"gsdd.start", "gsdd"}), (5, {"gsdd.start", "gsdd"})):
        interrupt(resumable_module, at)
        with pytest.raises(KeyboardInterrupt):
            made(given, checkpoint=checkpoint)
        assert {path.name for path in tmp_path.iterdir()} == left
    interrupt(resumable_module, None)
    resumed = made(given, checkpoint=checkpoint)
    assert resumed.digest == whole.digest and resumed.history == whole.history
    assert list(tmp_path.iterdir()) == []


def test_finished_inversion_is_not_repeated(given, tmp_path, monkeypatch):
    whole = made(given)
    checkpoint = Checkpoint(tmp_path / "gsdd", "key", 100)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "code_gradients", stopped)
        with pytest.raises(KeyboardInterrupt):
            made(given, checkpoint=checkpoint)

    def never(*_, **__):
        raise AssertionError("inverted again")

    monkeypatch.setattr(module, "invert", never)
    assert made(given, checkpoint=checkpoint).digest == whole.digest
    assert list(tmp_path.iterdir()) == []


def test_class_without_patches_is_named(given):
    _, settings = given
    with pytest.raises(SelectionError, match="class 3 has 0 patches, 2 are asked of every class"):
        made(given, count=8, pool=replace(settings["pool"], classes=4))


def test_prior_and_network_stay_as_they_were(given):
    _, settings = given
    before = [weight.clone() for part in ("prior", "network") for weight in settings[part].state_dict().values()]
    trainable = [weight.requires_grad for weight in settings["network"].parameters()]
    made(given)
    after = [weight for part in ("prior", "network") for weight in settings[part].state_dict().values()]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert [weight.requires_grad for weight in settings["network"].parameters()] == trainable


def test_layer_that_the_network_does_not_use_is_named(given):
    _, settings = given
    network = build_network("RRDBNet", 4, 0, width=8, depth=1, growth=4)
    network.add_module("idle", torch.nn.Conv2d(8, 8, 1))
    with pytest.raises(ValueError, match="RRDBNet does not use its layer 'idle'"):
        made(given, network=network, layer="idle")


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"count": 7}, SelectionError, "7 images cannot be shared equally by 3 classes; ask for 6"),
        ({"count": 3000}, SelectionError, "class 0 has .* patches, 1000 are asked of every class"),
        ({"layer": "neck"}, ValueError, "RRDBNet has no layer 'neck'; it has: head, body, after_body"),
        ({"size": 48}, ValueError, "patches of 32 px for a set of 48 px"),
        ({"iterations": 0}, ValueError, "iterations and chunk must be 1 or more and most_real not negative, got 0, 16 and 0"),
        ({"regulariser": -1.0}, ValueError, "must be finite and not negative, got 0.01 and -1.0"),
        ({"inversion": InversionRecipe(tuning_iterations=2)}, ValueError, "got 2 tuning_iterations; set them to 0"),
        ({"lr": 1e38}, Diverged, "lower lr"),
    ],
)
def test_bad_input_is_named(given, changed, error, message):
    with pytest.raises(error, match=message):
        made(given, **changed)
