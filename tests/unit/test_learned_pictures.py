"""What distillation of classifiers stands on: units, real batches, where pictures start, pixels and codes that move."""

import pytest
import torch
from tiny_classes import NETWORK, few_photos, seeded
from tiny_prior import TinyPrior

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float, to_uint8
from srdistill.networks.classifiers import build_classifier
from srdistill.papers.coreset.expanding.coreset_patches import random_coreset
from srdistill.papers.coreset.matching.learned import Codes, begin, check_learned, learned_set, tenth_ended
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.priors.prior import PriorError
from srdistill.sets.distilled_set import DistilledSet, SelectionError, SetError
from srdistill.training.loop import Diverged


@pytest.fixture(scope="module")
def real():
    return few_photos()


def started(real, **changes):
    options = {
        "ipc": 2, "start": "real", "units": channel_units(real), "lr": 0.5, "momentum": 0.5, "generator": seeded(),
        "device": torch.device("cpu"),
    }  # fmt: skip
    return begin(real, **options | changes)


def test_units_have_no_mean_and_unit_spread_and_lead_back(real):
    units = channel_units(real)
    seen = units.normalised(to_float(real.images))
    assert seen.mean((0, 2, 3)).abs().max() < 1e-5
    assert seen.std((0, 2, 3)).sub(1).abs().max() < 1e-4
    torch.testing.assert_close(units.pictures(seen), to_float(real.images))
    assert units.pictures(torch.full((1, 3, 2, 2), 9.0)).max() > 1  # nothing is clamped


def test_a_network_in_units_is_the_classifier_of_pictures(real):
    mean, std = real.statistics
    whole = build_classifier(classes=real.classes, size=16, seed=5, mean=mean, std=std, **NETWORK).eval()
    pictures = to_float(real.images[:4])
    torch.testing.assert_close(unit_network(NETWORK, real, 5)(channel_units(real).normalised(pictures)), whole(pictures))


def test_networks_with_batch_norm_are_refused(real):
    with pytest.raises(ValueError, match=r"without BatchNorm, .*'batch'.*; give norm='instance'"):
        unit_network(NETWORK | {"norm": "batch"}, real, 0)


def test_real_batches_are_of_the_class_different_and_drawn_anew(real):
    batches = RealBatches(real, channel_units(real), 7, torch.device("cpu"))
    first, again, later = (batches.of_class(1, 5, k) for k in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, later)
    members = channel_units(real).normalised(to_float(real.of_class(1)))
    for picture in first:
        assert (members == picture).flatten(1).all(1).sum() == 1
    assert len({tuple(p.flatten().tolist()) for p in first}) == 5
    assert len(batches.of_class(2, 999, 0)) == 12  # all that there are
    pictures, labels = batches.of_all(20, 3)
    assert len(pictures) == len(labels) == 20 and len(labels.unique()) == 3


def test_a_class_without_pictures_is_named(real):
    some = LabelledPictures(real.images[real.labels != 1], real.labels[real.labels != 1], real.classes)
    with pytest.raises(SelectionError, match=f"class '{real.classes[1]}' has no pictures to match"):
        RealBatches(some, channel_units(some), 0, torch.device("cpu"))


def test_real_starts_are_the_random_whole_pictures_of_the_same_seed(real):
    control = random_coreset(real, ipc=2, factor=1, generator=seeded(), scale=(1.0, 1.0))
    learned = started(real)
    torch.testing.assert_close(learned.pictures(), to_float(control.images))
    made = learned_set(learned, real, "nothing", 2, {}, {})
    assert torch.equal(made.images, control.images) and torch.equal(made.labels, control.labels)
    for label, image in zip(control.labels.tolist(), control.images, strict=True):
        assert (real.of_class(label) == image).flatten(1).all(1).any()


def test_noise_starts_are_normal_in_units(real):
    units = started(real, start="noise", ipc=20).units()
    assert units.shape == (60, 3, 16, 16) and abs(units.mean()) < 0.02 and abs(units.std() - 1) < 0.02


def test_a_given_start_has_to_fit(real):
    good = random_coreset(real, ipc=2, factor=1, generator=seeded(8), scale=(1.0, 1.0))
    torch.testing.assert_close(started(real, start=good).pictures(), to_float(good.images))
    small = DistilledSet(good.images[:, :, :8, :8], good.labels, good.names, "small")
    with pytest.raises(SetError, match=r"\(6, 3, 8, 8\) images of 3 classes; 2 pictures of 16 px .* need \(6, 3, 16, 16\)"):
        started(real, start=small)
    with pytest.raises(SetError, match="labels of the start must count up, 2 of each class"):
        started(real, start=DistilledSet(good.images, good.labels.flip(0), good.names, "upside down"))


def test_bad_starts_are_refused(real):
    for change, error, message in [
        ({"start": "zeros"}, ValueError, "unknown start 'zeros'; there are: real, noise"),
        ({"start": "noise", "prior": TinyPrior()}, ValueError, "codes do not start from noise"),
        ({"ipc": 0}, ValueError, "got 0"),
        ({"ipc": 13}, SelectionError, "has 12 pictures, fewer than the 13"),
        ({"chunk": 0, "prior": TinyPrior()}, ValueError, "chunk must be 1 or more, got 0"),
    ]:
        with pytest.raises(error, match=message):
            started(real, **change)
    odd = few_photos(size=15)
    with pytest.raises(PriorError, match="pictures of even size, not 15 px"):
        started(odd, prior=TinyPrior())


def test_pixels_move_by_sgd_with_momentum_in_units(real):
    learned, slope = started(real), torch.randn(6, 3, 16, 16, generator=seeded())
    before = learned.units().clone()
    learned.step(lambda units: slope)
    torch.testing.assert_close(learned.units(), before - 0.5 * slope)
    learned.step(lambda units: None)  # no step: not even momentum moves them
    torch.testing.assert_close(learned.units(), before - 0.5 * slope)
    learned.step(lambda units: slope)
    torch.testing.assert_close(learned.units(), before - 0.5 * slope - 0.5 * 1.5 * slope)


@pytest.mark.parametrize("chunk", [1, 4, 6, 100])
def test_codes_move_along_the_gradient_through_the_generator(real, chunk):
    """Against autograd through decoder, clamp and units, in double precision."""
    prior, units = TinyPrior().double(), channel_units(real)
    units.mean, units.std = units.mean.double(), units.std.double()
    codes = torch.randn(6, 6, 8, 8, generator=seeded(1), dtype=torch.float64)
    weights = torch.randn(6, 3, 16, 16, generator=seeded(2), dtype=torch.float64)
    leaf = codes.clone().requires_grad_()
    pictures = prior.decode(leaf).clamp(0, 1)
    (units.normalised(pictures).pow(3) * weights).sum().backward()
    assert 0.01 < ((pictures == 0) | (pictures == 1)).double().mean() < 0.7
    learned = Codes(codes, prior, chunk, units, 0.1, 0.5)
    torch.testing.assert_close(learned.pictures(), pictures.detach())
    learned.step(lambda seen: 3 * seen.square() * weights)
    torch.testing.assert_close(learned.values.detach(), codes - 0.1 * leaf.grad, rtol=1e-10, atol=1e-12)


def test_codes_stay_where_no_step_is_asked_for_and_the_generator_always(real):
    prior = TinyPrior().requires_grad_(True)
    weights = [weight.clone() for weight in prior.parameters()]
    learned = started(real, prior=prior, chunk=4)
    assert isinstance(learned, Codes) and learned.latents["codes"].shape == (6, 6, 8, 8)
    before = learned.values.detach().clone()
    learned.step(lambda units: None)
    assert torch.equal(learned.values, before)
    learned.step(torch.ones_like)
    assert not torch.equal(learned.values, before)
    assert all(torch.equal(a, b) and a.grad is None for a, b in zip(prior.parameters(), weights, strict=True))
    assert all(weight.requires_grad for weight in prior.parameters())


def test_codes_start_from_encoded_pictures_or_from_those_that_a_set_carries(real):
    prior = TinyPrior()
    control = random_coreset(real, ipc=2, factor=1, generator=seeded(), scale=(1.0, 1.0))
    learned = started(real, prior=prior, chunk=4)
    torch.testing.assert_close(learned.values.detach(), prior.encode(to_float(control.images)))
    learned.step(torch.ones_like)
    made = learned_set(learned, real, "moved", 2, {}, {})
    assert torch.equal(made.images, to_uint8(made.floats)) and made.settings["prior"] == "tiny"
    assert 0 <= made.floats.min() and made.floats.max() <= 1
    torch.testing.assert_close(started(real, prior=prior, start=made).values, learned.values)


def test_learned_sets_hold_floats_beyond_the_range_of_pictures(real):
    learned = started(real)
    learned.step(lambda units: torch.full_like(units, -20.0))
    made = learned_set(learned, real, "bright", 2, {"lr": 1}, {"loss": [1.0]}, logits=torch.ones(6, 3), step_size=0.01)
    assert made.floats.max() > 1 and made.images.max() == 255 and made.step_size == 0.01
    assert made.settings == {"ipc": 2, "size": 16, "lr": 1} and made.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_broken_pictures_are_named(real):
    learned = started(real)
    check_learned(learned, "test", "rest")
    learned.values.data[3, 0, 0, 0] = torch.nan
    with pytest.raises(Diverged, match="test: the last step made pictures NaN or infinite; rest"):
        check_learned(learned, "test", "rest")


@pytest.mark.parametrize(("steps", "ended"), [(25, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 24]), (4, [0, 1, 2, 3])])
def test_losses_are_averaged_over_a_tenth_of_the_steps(steps, ended):
    assert [step for step in range(steps) if tenth_ended(step, steps)] == ended
