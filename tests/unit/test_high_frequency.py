"""The high-frequency loss: against a plain loop, gradients, and what it does to real and blurred patches."""

import math

import pytest
import torch
from tiny_dit import real_patches

from srdistill.images.detail import recovered_psnr
from srdistill.images.pictures import to_float
from srdistill.images.resize import bicubic_matrix, downscale, upscale
from srdistill.papers.labelfree.high_frequency import high_frequency_loss


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
