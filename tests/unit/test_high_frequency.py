"""The high-frequency losses: plain loops, gradients, what ours does to patches, and that the published one does nothing."""

import math

import pytest
import torch
from tiny_dit import encoded, real_patches, tiny_dit
from tiny_prior import Smooth

from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.step_losses import StepLosses
from srdistill.images.pictures import to_float
from srdistill.images.resize import bicubic_matrix, downscale, upscale
from srdistill.measures.detail import recovered_psnr
from srdistill.papers.labelfree.fine_tuning import FineTuning, fine_tune, loss_terms
from srdistill.papers.labelfree.high_frequency import HighFrequencyAsPublished, high_frequency_loss


def plain_lost(image):
    """y - U4 D4 y of one picture, channel by channel, with the matrices written out."""
    height, width = image.shape[1:]
    down = [bicubic_matrix(side, side // 4) for side in (height, width)]
    up = [bicubic_matrix(side // 4, side) for side in (height, width)]
    kept = [up[0] @ (down[0] @ channel.double() @ down[1].T) @ up[1].T for channel in image]
    return image.double() - torch.stack(kept)


def plain(predicted, real):
    values = []
    for y, x in zip(predicted, real, strict=True):
        psnr = [-10 * math.log10(float(plain_lost(image).square().mean()) + 1e-8) for image in (y, x)]
        values.append(max(0.0, psnr[0] - psnr[1]))
    return torch.tensor(values)


@pytest.fixture(scope="module")
def patches(pictures):
    return to_float(real_patches(pictures)[0])


@pytest.fixture(scope="module")
def predictions(patches):
    """Some blurred, some noisy, one flat."""
    blurred = upscale(downscale(patches, 2), 2)
    noisy = patches + 0.1 * torch.randn(patches.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([blurred[:6], noisy[6:11], torch.full_like(patches[:1], 0.5)])


def test_is_the_plain_loop(patches, predictions):
    found = high_frequency_loss(predictions, patches)
    assert (found - plain(predictions, patches)).abs().max() < 1e-3
    assert (found[:6] > 0).all() and (found[6:11] == 0).all()
    assert 30 < found[11] <= 80


def test_gradient_agrees_with_finite_differences(patches, predictions):
    leaf = predictions[:2, :, :8, :8].double().requires_grad_()
    real = patches[:2, :, :8, :8].double()
    assert torch.autograd.gradcheck(lambda y: high_frequency_loss(y, real), (leaf,), atol=1e-3)


def test_detail_is_rewarded_up_to_that_of_the_real_patch(patches):
    faint = upscale(downscale(patches, 4), 4)
    lost = patches - faint
    losses = [float(high_frequency_loss(faint + share * lost, patches).mean()) for share in (0.3, 0.7, 1.0, 3.0)]
    assert losses[0] > losses[1] > 0 and max(losses[2:]) < 1e-3


def test_a_flat_prediction_has_a_finite_loss_and_gradient(patches):
    flat = torch.full_like(patches[:1], 0.25).requires_grad_()
    (gradient,) = torch.autograd.grad(high_frequency_loss(flat, patches[:1]).sum(), flat)
    assert float(recovered_psnr(flat.detach(), 4)) <= 80 and gradient.isfinite().all()


# --- As published.


def enlarged_and_shrunk(image):
    """One channel (n, n), four times as large by bicubic with corners aligned, and back, with the weights written out."""

    def along_rows(values, count):
        size, found = len(values), []
        for place in range(count):
            at = place * (size - 1) / (count - 1)
            near, total = math.floor(at), torch.zeros_like(values[0])
            for tap in range(near - 1, near + 3):
                x, a = abs(at - tap), -0.75
                inner, outer = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
                total = total + (inner if x <= 1 else outer) * values[min(max(tap, 0), size - 1)]
            found.append(total)
        return torch.stack(found)

    large = along_rows(along_rows(image, 4 * len(image)).T, 4 * len(image))
    return along_rows(along_rows(large, len(image)).T, len(image))


@pytest.fixture(scope="module")
def data(pictures):
    return encoded(pictures, Smooth())


def published(data, **tuning):
    """The model, the losses of a first batch, and the weights that are trained, all asking for gradients."""
    model = tiny_dit(learn_variance=True)
    model.normalise_for(data.codes)
    weights = list(model.requires_grad_(True).parameters())
    terms = loss_terms(model, data, FineTuning(DiffusionRecipe(1, batch=4), **tuning).as_published)
    losses, view = StepLosses(model, data, DiffusionRecipe(1, batch=4), 0, terms, torch.device("cpu"))(0)
    return losses, view, weights


def test_as_published_it_is_the_loop_over_real_latents(data):
    losses, view, _ = published(data)
    lost = [image - enlarged_and_shrunk(image) for image in view.clean.double().flatten(0, 1)]
    assert 0 > float(losses["detail"]) == pytest.approx(-float(torch.stack(lost).square().mean()), rel=1e-3)


def test_as_published_it_has_a_value_but_no_gradient_for_any_weight(data):
    losses, _, weights = published(data)
    assert float(losses["detail"]) != 0 and not losses["detail"].requires_grad
    with_it = torch.autograd.grad(losses["noise"] + losses["detail"], weights, retain_graph=True, allow_unused=True)
    without = torch.autograd.grad(losses["noise"], weights, allow_unused=True)
    assert any(one is not None for one in without)
    assert all(a is b or torch.equal(a, b) for a, b in zip(with_it, without, strict=True))


def test_as_published_fine_tuning_is_fine_tuning_without_it(data):
    tuning = FineTuning(DiffusionRecipe(4, batch=4, ema=0.5), memory=4)
    start = tiny_dit()
    draws = torch.Generator().manual_seed(0)
    (plain, losses), (inert, more) = (
        fine_tune(start, data, generator=draws, tuning=one) for one in (tuning, tuning.as_published)
    )
    weights = inert.weights()
    assert all(torch.equal(weight, weights[name]) for name, weight in plain.weights().items())
    assert losses["noise"] == more["noise"] and more["detail"][0] < 0


def test_as_published_it_needs_no_prior_and_keeps_the_weight_of_the_code():
    tuning = FineTuning(DiffusionRecipe(1), detail=0.005)
    assert tuning.decodes and not tuning.as_published.decodes
    assert tuning.as_published.detail == HighFrequencyAsPublished().weight == 1.0
