"""PSNR and SSIM against scikit-image."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srdistill.images.pictures import to_float
from srdistill.measures.metrics import psnr, ssim


@pytest.fixture(scope="module")
def pair(pictures):
    """A batch of three 72 x 80 px pieces and noisy copies, each noisier than the one before."""
    truth = torch.stack([image[:, :72, :72] for image in pictures.images])
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    strength = torch.tensor([3.0, 12.0, 40.0])[:, None, None, None]
    return (truth + strength * noise).clamp(0, 255).round().to(torch.uint8), truth


def hwc(image, shave):
    array = image.numpy().transpose(1, 2, 0)
    return array[shave : array.shape[0] - shave, shave : array.shape[1] - shave]


def skimage_ssim(x, y, **options):
    _, full = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True, **options
    )
    return full[5:-5, 5:-5].mean()


@pytest.mark.parametrize("shave", [0, 2, 4])
def test_psnr_agrees_with_skimage(pair, shave):
    ours = psnr(*pair, shave)
    assert ours.dtype == torch.float64 and ours.shape == (3,)
    for value, x, y in zip(ours, *pair, strict=True):
        assert float(value) == pytest.approx(peak_signal_noise_ratio(hwc(y, shave), hwc(x, shave), data_range=255), abs=1e-9)


@pytest.mark.parametrize("shave", [0, 2, 4])
def test_ssim_agrees_with_skimage_in_the_valid_region(pair, shave):
    for value, x, y in zip(ssim(*pair, shave), *pair, strict=True):
        expected = skimage_ssim(hwc(x, shave).astype(np.float64), hwc(y, shave).astype(np.float64), channel_axis=2)
        assert float(value) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shave", [0, 3])
def test_luma_scores_agree_with_skimage(pair, shave):
    values = zip(psnr(*pair, shave, luma=True), ssim(*pair, shave, luma=True), *pair, strict=True)
    for value_psnr, value_ssim, x, y in values:
        luma_x, luma_y = (rgb2ycbcr(hwc(image, shave))[..., 0] for image in (x, y))
        assert float(value_psnr) == pytest.approx(peak_signal_noise_ratio(luma_y, luma_x, data_range=255), abs=1e-6)
        assert float(value_ssim) == pytest.approx(skimage_ssim(luma_x, luma_y), abs=1e-6)


def test_luma_is_matlabs_formula():
    pixel = torch.tensor([10, 100, 200], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 12, 12)
    black = torch.zeros_like(pixel)
    luma = (65.481 * 10 + 128.553 * 100 + 24.966 * 200) / 255
    assert float(psnr(pixel, black, luma=True)) == pytest.approx(20 * math.log10(255 / luma), abs=1e-9)


@pytest.mark.parametrize("luma", [False, True])
@pytest.mark.parametrize("metric", [psnr, ssim])
def test_scores_in_a_batch_equal_those_one_by_one(pair, metric, luma):
    together = metric(*pair, 2, luma)
    alone = torch.cat([metric(x[None], y[None], 2, luma) for x, y in zip(*pair, strict=True)])
    assert torch.allclose(together, alone, atol=1e-10, rtol=0)
    assert together[0] > together[1] > together[2]


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_shaved_borders_count_nothing(pair, metric):
    spoiled = pair[0].clone()
    spoiled[..., :4, :], spoiled[..., -4:, :], spoiled[..., :4], spoiled[..., -4:] = 0, 255, 7, 99
    assert torch.equal(metric(spoiled, pair[1], 4), metric(*pair, 4))
    assert not torch.allclose(metric(spoiled, pair[1], 3), metric(*pair, 3), atol=1e-3)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_floats_are_rounded_as_a_saved_picture(pair, metric):
    assert torch.equal(metric(to_float(pair[0]) + 0.3 / 255, pair[1]), metric(*pair))
    outside = (to_float(pair[0]) - 0.1) * 3
    assert torch.equal(metric(outside, pair[1]), metric(outside.clamp(0, 1), pair[1]))


def test_equal_images_are_infinitely_close(pair):
    assert psnr(pair[1], pair[1]).tolist() == [math.inf] * 3
    assert torch.allclose(ssim(pair[1], pair[1]), torch.ones(3, dtype=torch.float64), atol=1e-12)


def test_one_level_everywhere_is_48_decibels():
    grey = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    assert float(psnr(grey, grey + 1)) == pytest.approx(48.1308, abs=1e-4)
    assert float(psnr(grey + 1, grey)) == float(psnr(grey, grey + 1))


def test_images_too_small_for_the_window_are_refused():
    small = torch.zeros(1, 3, 14, 20, dtype=torch.uint8)
    ssim(small, small, 1)
    with pytest.raises(ValueError, match=r"SSIM needs 11 px .* got \(10, 16\)"):
        ssim(small, small, 2)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(N, 3, H, W\)"):
        psnr(torch.zeros(shape), torch.zeros(shape))
