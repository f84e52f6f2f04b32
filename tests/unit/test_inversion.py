"""Inversion: codes of pictures, pivotal tuning, and the undistilled set of rendered crops."""

import math

import pytest
import torch
import torch.nn.functional as F
from grouped import grouped
from tiny_prior import Shuffle, TinyPrior

from srdistill.images.pictures import PictureError, to_uint8
from srdistill.measures.metrics import psnr
from srdistill.measures.perceptual import Lpips
from srdistill.measures.spectrum import upper_octave
from srdistill.priors import inversion_phases
from srdistill.priors.inversion import InversionRecipe, codes_of, gan_inversion
from srdistill.priors.inversion import invert as invert_with
from srdistill.priors.inversion_loss import inversion_loss
from srdistill.priors.prior import Prior, PriorError
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.random_crops import random_crops
from srdistill.training import resumable as resumable_module
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged


@pytest.fixture(scope="module")
def patches(pictures):
    """Three real patches of 24 px, uint8."""
    return torch.stack([image[:, 20:44, 30:54] for image in pictures.images])


def invert(prior, images, **options):
    return invert_with(prior, images, **grouped(InversionRecipe, "recipe", options))


def same(first, second):
    assert torch.equal(first.codes, second.codes) and torch.equal(first.images, second.images)
    assert first.history == second.history and first.settings == second.settings
    weights = zip(first.prior.parameters(), second.prior.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)


def test_tiny_priors_are_priors():
    assert isinstance(TinyPrior(), Prior) and isinstance(Shuffle(), Prior)


@pytest.mark.parametrize(("loss", "gain", "rest"), [("published", 0.1, 0.01), ("highpass", 0.8, 0.8)])
def test_codes_come_closer_than_the_start(patches, loss, gain, rest):
    prior = TinyPrior()
    start = psnr(prior.decode(prior.encode(patches.float() / 255)), patches)
    found = invert(prior, patches, loss=loss, iterations=60, lr=0.1)
    assert (found.psnr > start + gain).all()
    assert found.codes.shape == (3, 6, 12, 12) and found.codes.dtype == torch.float32
    assert torch.equal(found.images, to_uint8(prior.decode(found.codes)))
    assert torch.equal(found.psnr, psnr(found.images, patches))
    assert found.prior is prior and not any(weight.requires_grad for weight in prior.parameters())
    assert len(found.history["codes"]) == 60 and found.history["tuning"] == []
    assert found.history["codes"][-1] < rest * found.history["codes"][0]


def test_published_loss_never_looks_at_the_upper_octave_and_highpass_does(patches):
    """With a prior that can make any picture, what the loss does not see stays as it began."""
    published, better = (
        invert(Shuffle(), patches, loss=loss, iterations=150, lr=0.03) for loss in ("published", "highpass")
    )
    start = Shuffle().decode(Shuffle().encode(patches.float() / 255))
    before, seen, full = (upper_octave(images, patches) for images in (start, published.images, better.images))
    assert (seen.explained - before.explained).abs().max() < 0.02
    assert (full.explained > 0.97).all() and (full.kept - 1).abs().max() < 0.1
    assert (better.psnr > published.psnr + 10).all()


@pytest.mark.parametrize(("size", "seen"), [(24, 12), (256, 128), (512, 256), (768, 256)])
def test_published_loss_sees_at_most_256_px(size, seen):
    generator = torch.Generator().manual_seed(0)
    made, wanted = torch.rand(2, 1, 3, size, size, generator=generator)
    sides = []
    objective = inversion_loss("published", lambda a, b: sides.append(a.shape[-1]) or (a - b).mean((1, 2, 3)) * 0, 1.0)
    value = objective(made, wanted)
    small = [F.adaptive_avg_pool2d(x, seen) * 2 - 1 for x in (made, wanted)]
    assert sides == [seen]
    assert value.item() == pytest.approx(F.mse_loss(*small).item(), rel=1e-5)


def test_pictures_in_a_batch_do_not_meet(patches):
    one_by_one = invert(TinyPrior(), patches, iterations=10, batch=1)
    together = invert(TinyPrior(), patches, iterations=10, batch=3)
    assert (one_by_one.codes - together.codes).abs().max() < 2e-3
    assert one_by_one.history["codes"] == pytest.approx(together.history["codes"], rel=1e-4)
    alone = invert(TinyPrior(), patches[1:2], iterations=10, batch=1)
    assert torch.equal(alone.codes[0], one_by_one.codes[1])


def test_bytes_and_floats_are_the_same_pictures(patches):
    same(invert(TinyPrior(), patches, iterations=3), invert(TinyPrior(), patches.float() / 255, iterations=3))


@pytest.mark.parametrize("loss", ["published", "highpass"])
def test_pivotal_tuning_moves_a_copy_of_the_generator_and_not_the_codes(patches, loss):
    prior = TinyPrior()
    before = {name: weight.clone() for name, weight in prior.state_dict().items()}
    plain = invert(prior, patches, loss=loss, iterations=20)
    tuned = invert(prior, patches, loss=loss, iterations=20, tuning_iterations=40, tuning_lr=3e-3, batch=2)
    assert all(torch.equal(weight, before[name]) for name, weight in prior.state_dict().items())
    assert tuned.prior is not prior and not torch.equal(tuned.prior.body[0].weight, prior.body[0].weight)
    assert torch.equal(tuned.prior.unused.weight, prior.unused.weight)
    assert not any(weight.requires_grad for weight in tuned.prior.parameters())
    assert (tuned.codes - plain.codes).abs().max() < 1e-3
    assert tuned.psnr.mean() > plain.psnr.mean() + 0.5
    assert len(tuned.history["tuning"]) == 40 and tuned.settings["tuning_lr"] == 3e-3


def test_weights_that_were_trainable_stay_so(patches):
    prior = TinyPrior()
    prior.body[0].requires_grad_(True).train()
    prior.train()
    invert(prior, patches, iterations=2)
    assert [weight.requires_grad for weight in prior.body.parameters()] == [True, True, False, False] and prior.training
    assert prior.body[0].weight.grad is None


def test_perceptual_distance_gets_images_in_minus_one_to_one(patches):
    seen = []

    def distance(made, wanted):
        seen.append((wanted.min().item(), wanted.max().item(), tuple(wanted.shape)))
        return (made - wanted).square().mean((1, 2, 3))[:, None, None, None]

    without = invert(TinyPrior(), patches, iterations=3, tuning_iterations=2)
    found = invert(TinyPrior(), patches, iterations=3, tuning_iterations=2, perceptual=distance, perceptual_weight=5.0)
    assert len(seen) == 5 and {shape for *_, shape in seen} == {(3, 3, 24, 24)}
    assert min(low for low, *_ in seen) < -0.5 and max(high for _, high, _ in seen) > 0.2
    assert (found.settings["perceptual_weight"], without.settings["perceptual_weight"]) == (5.0, 0.0)
    assert not torch.equal(found.codes, without.codes)


def test_lpips_is_such_a_distance(patches, shared_weights):
    images = F.interpolate(patches.float() / 255, (64, 64))
    found = invert(TinyPrior(), images, loss="published", iterations=3, perceptual=Lpips("alex").model)
    assert found.history["codes"][-1] < found.history["codes"][0]


def test_two_runs_agree_bit_for_bit(patches):
    options = {"iterations": 5, "tuning_iterations": 4, "batch": 2}
    first = invert(TinyPrior(), patches, **options)
    torch.manual_seed(77)
    same(first, invert(TinyPrior(), patches, **options))


@pytest.mark.parametrize("every", [1, 3, 4])
def test_resumed_equals_uninterrupted(patches, tmp_path, interrupt, every):
    """Two batches of 8 steps, then 10 of tuning; 0..9 of the codes' first 10 steps are the tuning's numbers too."""
    options = {"iterations": 8, "tuning_iterations": 10, "batch": 2}
    whole = invert(TinyPrior(), patches, **options)
    checkpoint = Checkpoint(tmp_path / "inversion.pt", "this", every)
    for at in (2, 7, 9, 13, 15, 1, 5, 9):
        interrupt(resumable_module, at)
        with pytest.raises(KeyboardInterrupt):
            invert(TinyPrior(), patches, checkpoint=checkpoint, **options)
    interrupt(resumable_module, None)
    same(whole, invert(TinyPrior(), patches, checkpoint=checkpoint, **options))
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_without_tuning(patches, tmp_path):
    checkpoint = Checkpoint(tmp_path / "inversion.pt", "this", 1)
    same(invert(TinyPrior(), patches, iterations=3), invert(TinyPrior(), patches, iterations=3, checkpoint=checkpoint))
    assert not list(tmp_path.iterdir())


def test_codes_once_found_are_not_looked_for_again(patches, tmp_path, monkeypatch):
    options = {"iterations": 4, "tuning_iterations": 3, "batch": 2}
    whole = invert(TinyPrior(), patches, **options)
    checkpoint = Checkpoint(tmp_path / "inversion.pt", "this", 100)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inversion_phases.Tuning, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            invert(TinyPrior(), patches, checkpoint=checkpoint, **options)
    def never(*_):
        raise AssertionError("fitted again")

    monkeypatch.setattr(inversion_phases.FittedCodes, "step", never)
    same(whole, invert(TinyPrior(), patches, checkpoint=checkpoint, **options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations and batch must be 1 or more .* got 0, 16 and 0"),
        ({"batch": 0}, "got 5, 0 and 0"),
        ({"tuning_iterations": -1}, "got 5, 16 and -1"),
        ({"lr": math.nan}, "lr and tuning_lr must be finite and not negative, got nan and 0.0003"),
        ({"tuning_lr": -1.0}, "got 0.02 and -1.0"),
        ({"loss": "l3"}, "unknown loss 'l3'; there are: published, highpass"),
    ],
)
def test_settings_that_cannot_work_are_refused(patches, changes, message):
    with pytest.raises(ValueError, match=message):
        invert(TinyPrior(), patches, **({"iterations": 5} | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[0], r"must be square, \(N, 3, size, size\), got \(3, 24, 24\)"),
        (lambda x: x[..., :20], r"got \(3, 3, 24, 20\)"),
        (lambda x: x[:0], r"got \(0, 3, 24, 24\)"),
        (lambda x: x * math.nan, "without NaN"),
        (lambda x: x * 255, r"floats in \[0, 1\]"),
        (lambda x: x.long(), "got torch.int64"),
    ],
)
def test_pictures_that_cannot_be_inverted_are_refused(patches, spoil, message):
    with pytest.raises(PictureError, match=message):
        invert(TinyPrior(), spoil(patches.float() / 255), iterations=2)


def test_size_that_the_prior_cannot_make_is_refused(patches):
    with pytest.raises(PriorError, match="not 23 px"):
        invert(TinyPrior(), patches[..., :23, :23], iterations=2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda codes: codes[:, :4], r"shape \(3, 4, 12, 12\) .* need floats of shape \(3, 6, 12, 12\)"),
        (lambda codes: codes.index_fill(0, torch.tensor([2]), math.nan), "1 of 3 codes hold NaN .* code 2"),
    ],
)
def test_prior_that_encodes_wrongly_is_named(patches, monkeypatch, spoil, message):
    encode = TinyPrior.encode
    monkeypatch.setattr(TinyPrior, "encode", lambda self, images: spoil(encode(self, images)))
    with pytest.raises(PriorError, match=message):
        invert(TinyPrior(), patches, iterations=2)


def test_divergence_names_picture_and_iteration(patches):
    calls = []

    def spoiled(made, wanted):
        calls.append(1)
        value = (made - wanted).square().mean((1, 2, 3))
        return value * torch.tensor([1.0, math.nan if len(calls) == 5 else 1.0])[: len(value)]

    with pytest.raises(Diverged, match="loss of picture 1 became nan in iteration 4 of the codes; lower lr .0.02"):
        invert(TinyPrior(), patches, iterations=9, perceptual=spoiled, batch=2)
    calls.clear()
    with pytest.raises(Diverged, match="loss of picture 1 became nan in iteration 0 of the tuning"):
        invert(TinyPrior(), patches, iterations=2, tuning_iterations=9, perceptual=spoiled, batch=2)
    with pytest.raises(Diverged, match="code of picture 0 became nan in iteration 0 of the codes"):
        invert(TinyPrior(), patches, iterations=2, perceptual=lambda a, b: (a - a).abs().sum((1, 2, 3)).sqrt())
    with pytest.raises(Diverged, match="the last step made the generator render NaN; .* tuning_lr .1e[+]37"):
        invert(TinyPrior(), patches, iterations=2, tuning_iterations=1, tuning_lr=1e37)


def made(pictures, **changes):
    options = {"ipc": 2, "size": 24, "generator": torch.Generator().manual_seed(5), "prior": TinyPrior(), "iterations": 30}
    return gan_inversion(pictures, **grouped(InversionRecipe, "recipe", options | changes))


def test_set_of_rendered_crops(pictures, tmp_path):
    found = made(pictures, lr=0.1)
    crops = random_crops(pictures, ipc=2, size=24, generator=torch.Generator().manual_seed(5))
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2] and found.names == pictures.names
    assert found.method == "gan_inversion" and found.generator_bytes == 0
    assert psnr(found.images, crops.images).tolist() == pytest.approx(found.settings["psnr"], abs=1e-3)
    assert min(found.settings["psnr"]) > 18
    assert found.settings["prior"] == "tiny" and found.settings["prior_bytes"] == TinyPrior().bytes
    assert (found.settings["iterations"], found.settings["loss"], found.settings["start"]) == (30, "highpass", "real")
    found.save(tmp_path / "set.safetensors")
    assert DistilledSet.load(tmp_path / "set.safetensors").settings == found.settings


@pytest.mark.parametrize("tuning", [0, 4])
def test_set_carries_codes_and_what_tuning_changed(pictures, tmp_path, tuning):
    prior = TinyPrior()
    made(pictures, prior=prior, iterations=3, tuning_iterations=tuning, tuning_lr=0.01).save(tmp_path / "set.safetensors")
    found = DistilledSet.load(tmp_path / "set.safetensors")
    assert any(name.startswith("tuned.body") for name in found.latents) == bool(tuning)
    assert not any(name.startswith("tuned.unused") for name in found.latents)
    codes, decoder = codes_of(found, prior)
    assert torch.equal(to_uint8(decoder.decode(codes).clamp(0, 1)), found.images)
    assert (decoder is prior) == (not tuning) and torch.equal(prior.body[0].weight, TinyPrior().body[0].weight)


def test_codes_of_a_set_without_them_or_of_another_prior_are_refused(pictures):
    tuned = made(pictures, iterations=1, tuning_iterations=1)
    with pytest.raises(PriorError, match=r"shuffle has no weights body.0.weight of shape .* was inverted with tiny"):
        codes_of(tuned, Other())
    crops = random_crops(pictures, ipc=2, size=24, generator=torch.Generator().manual_seed(5))
    with pytest.raises(SetError, match=r"\(random_crops\) carries no codes; make it with gan_inversion"):
        codes_of(crops, TinyPrior())


class Other(Shuffle):
    """A prior whose weights have other names."""

    def __init__(self):
        super().__init__()
        del self.body


def test_other_starts(pictures):
    shrunk = made(pictures, iterations=3, start="downscaled")
    assert shrunk.settings["start"] == "downscaled" and not torch.equal(shrunk.images, made(pictures, iterations=3).images)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"size": 82}, PictureError, "flower: 80 x 80 px is smaller than the synthetic images of 82 px"),
        ({"size": 25}, PriorError, "not 25 px"),
        ({"ipc": 0}, ValueError, "must be 1 or more, got 0"),
        ({"start": "zeros"}, ValueError, "unknown start 'zeros'"),
        ({"iterations": 0}, ValueError, "got 0, 16 and 0"),
    ],
)
def test_sets_that_cannot_be_made_are_refused(pictures, changes, error, message):
    with pytest.raises(error, match=message):
        made(pictures, **changes)
