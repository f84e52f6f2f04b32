"""The high-frequency term: every reading against a plain loop, gradients, and what it does to real and blurred patches."""

import math

import pytest
import torch
from tiny_dit import real_patches

from srdistill.images.detail import recovered_psnr
from srdistill.images.pictures import to_float
from srdistill.images.resize import bicubic_matrix, downscale, upscale
from srdistill.papers.labelfree.high_frequency import high_frequency_loss, time_weights


def plain_lost(image):
    """y - U4 D4 y of one picture, channel by channel, with the matrices written out."""
    height, width = image.shape[1:]
    down = [bicubic_matrix(side, side // 4) for side in (height, width)]
    up = [bicubic_matrix(side // 4, side) for side in (height, width)]
    kept = [up[0] @ (down[0] @ channel.double() @ down[1].T) @ up[1].T for channel in image]
    return image.double() - torch.stack(kept)


def plain(predicted, real, reading):
    values = []
    for y, x in zip(predicted, real, strict=True):
        if reading == "literal":
            values.append(-float((y.double() - (x.double() - plain_lost(x))).abs().mean()))
        elif reading == "match":
            values.append(float((plain_lost(y) - plain_lost(x)).abs().mean()))
        else:
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


@pytest.mark.parametrize("reading", ["literal", "hinge", "match"])
def test_is_the_plain_loop(patches, predictions, reading):
    found = high_frequency_loss(predictions, patches, reading)
    assert (found - plain(predictions, patches, reading)).abs().max() < 1e-3
    if reading == "hinge":
        assert (found[:6] > 0).all() and (found[6:11] == 0).all()
        assert 30 < found[11] <= 80


@pytest.mark.parametrize("reading", ["literal", "hinge", "match"])
def test_gradient_agrees_with_finite_differences(patches, predictions, reading):
    leaf = predictions[:2, :, :8, :8].double().requires_grad_()
    real = patches[:2, :, :8, :8].double()
    assert torch.autograd.gradcheck(lambda y: high_frequency_loss(y, real, reading), (leaf,), atol=1e-3)


def test_detail_is_rewarded_up_to_that_of_the_real_patch_or_without_end(patches):
    faint = upscale(downscale(patches, 4), 4)
    lost = patches - faint
    losses = {
        reading: [float(high_frequency_loss(faint + share * lost, patches, reading).mean()) for share in (0.3, 0.7, 1.0, 3.0)]
        for reading in ("literal", "hinge", "match")
    }
    assert losses["literal"] == sorted(losses["literal"], reverse=True)
    assert losses["hinge"][0] > losses["hinge"][1] > 0 and max(losses["hinge"][2:]) < 1e-3
    assert losses["match"].index(min(losses["match"])) == 2 and losses["match"][2] < 1e-6


def test_a_flat_prediction_has_a_finite_loss_and_gradient(patches):
    flat = torch.full_like(patches[:1], 0.25).requires_grad_()
    (gradient,) = torch.autograd.grad(high_frequency_loss(flat, patches[:1]).sum(), flat)
    assert float(recovered_psnr(flat.detach(), 4)) <= 80 and gradient.isfinite().all()


def test_times_count_by_the_signal_that_is_left_or_up_to_250():
    t = torch.tensor([0, 250, 251, 999])
    abar = torch.tensor([0.9999, 0.52, 0.51, 4e-5])
    assert torch.equal(time_weights(abar, t, "abar"), abar)
    assert time_weights(abar, t, "cut").tolist() == [1, 1, 0, 0]


def test_unknown_readings_are_named(patches):
    with pytest.raises(ValueError, match="unknown reading 'log'.*there are: literal, hinge, match"):
        high_frequency_loss(patches, patches, "log")
    with pytest.raises(ValueError, match="unknown weighting 'snr'.*there are: abar, cut"):
        time_weights(torch.ones(1), torch.zeros(1), "snr")
