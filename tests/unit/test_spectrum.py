"""The upper octave: high pass, power spectrum, what a copy keeps."""

import math

import pytest
import torch

from srdistill.images.pictures import PictureError
from srdistill.images.resize import ScaleError, downscale, upscale
from srdistill.measures.spectrum import high_pass, power_spectrum, upper_octave


@pytest.fixture(scope="module")
def patches(pictures):
    return torch.stack([image[:, :64, :64] for image in pictures.images])


def test_high_pass_takes_away_what_bicubic_keeps():
    smooth = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    assert high_pass(torch.full((1, 3, 32, 32), 0.7)).abs().max() < 1e-6
    assert high_pass(smooth)[..., 8:-8].abs().max() < 1e-5
    checks = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    assert (high_pass(checks)[..., 8:-8] - (checks - 0.5)[..., 8:-8]).abs().max() < 1e-5
    with pytest.raises(ScaleError, match="2 does not divide 31"):
        high_pass(torch.zeros(1, 3, 31, 31))


def test_spectrum_of_white_noise_is_flat_and_of_its_variance():
    noise = torch.randn(64, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.3
    frequencies, power = power_spectrum(noise)
    assert frequencies.tolist() == pytest.approx([k / 64 for k in range(1, 33)])
    assert power[1:].mean().item() == pytest.approx(0.09, rel=0.01)
    assert (power[1:] / 0.09 - 1).abs().max() < 0.1


@pytest.mark.parametrize("cycles", [4, 17, 30])
def test_spectrum_of_a_wave_peaks_at_its_frequency(cycles):
    wave = 0.5 + 0.2 * torch.cos(2 * math.pi * cycles / 64 * torch.arange(64)).expand(1, 3, 64, 64)
    frequencies, power = power_spectrum(wave)
    assert frequencies[power.argmax()].item() == pytest.approx(cycles / 64)


def test_photographs_fall_off_and_bytes_equal_floats(patches):
    _, power = power_spectrum(patches)
    assert power[0] > 100 * power[-1]
    assert torch.allclose(power, power_spectrum(patches.float() / 255)[1], rtol=1e-4)


def test_copy_that_is_exact_smooth_or_made_up(patches):
    real = patches.double() / 255
    same = upper_octave(patches, patches)
    assert same.kept.tolist() == pytest.approx([1] * 3) and same.explained.tolist() == pytest.approx([1] * 3)
    assert torch.equal(same.smoothness, same.smoothness_real)
    smooth = upper_octave(upscale(downscale(real, 2), 2), real)
    assert smooth.kept.max() < 0.1 and smooth.explained.max() < 0.5
    assert (smooth.smoothness > smooth.smoothness_real + 5).all()
    detail = high_pass(real)
    assert upper_octave(real - 2 * detail, real).explained.max() < 0


def test_flat_pictures_have_no_upper_octave_and_do_not_divide_by_zero():
    flat = torch.full((1, 3, 16, 16), 0.5)
    assert torch.isfinite(upper_octave(flat, flat).kept).all()


def test_what_cannot_be_compared_is_refused(patches):
    with pytest.raises(PictureError, match=r"\(3, 3, 32, 32\) and real pictures \(3, 3, 64, 64\)"):
        upper_octave(patches[..., :32, :32], patches)
    with pytest.raises(PictureError, match=r"square images .* got \(3, 3, 64, 32\)"):
        power_spectrum(patches[..., :32])
