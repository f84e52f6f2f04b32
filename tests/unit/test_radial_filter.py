"""The radial filter: what it is fitted to it matches, in shape; what it has to leave alone it leaves alone."""

import itertools
import math

import pytest
import torch
from scipy.fft import dctn

from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.images.resize import downscale, upscale
from srdistill.images.shrinking import shrink
from srdistill.images.unsharp import unsharp
from srdistill.papers.beyond.shaping.radial_filter import BANDS, RadialFilter, band_powers, fit_radial_filter

UNIT = (1.0,) * BANDS


@pytest.fixture(scope="module")
def whole(train_photos):
    """Whole photographs, shrunk to 64 px."""
    return shrink(to_float(torch.stack(train_photos.center_crop(300).images)), (64, 64))


@pytest.fixture(scope="module")
def parts(train_photos):
    """Windows of the same photographs, unchanged."""
    return torch.stack(train_photos.center_crop(64).images)


def waves(cycles, size=64):
    """A wave along x that the cosine transform holds in one number, amplitude 0.3."""
    place = torch.arange(size, dtype=torch.float64) + 0.5
    return 0.5 + 0.3 * torch.cos(2 * math.pi * cycles * place).expand(1, 3, size, size)


def test_band_powers_equal_scipys_transform(parts):
    values = to_float(parts).double().numpy()
    power = (dctn(values, axes=(-2, -1), norm="ortho") ** 2).mean((0, 1))
    expected, counts = [0.0] * BANDS, [0] * BANDS
    for u in range(64):
        for v in range(64):
            if u or v:
                ring = min(BANDS - 1, int(math.hypot(u, v) / 128 * 16))
                expected[ring] += power[u, v]
                counts[ring] += 1
    assert band_powers(parts).tolist() == pytest.approx([e / n for e, n in zip(expected, counts, strict=True)], rel=1e-5)


def test_noise_has_its_variance_in_every_ring():
    noise = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    assert band_powers(noise).tolist() == pytest.approx([0.04] * BANDS, rel=0.05)


@pytest.mark.parametrize(("ring", "cycles"), [(0, 1 / 32), (3, 7 / 32), (7, 15 / 32)])
def test_a_wave_is_scaled_by_the_gain_of_its_ring(ring, cycles):
    gains = tuple(1 + 0.1 * k for k in range(BANDS))
    out = RadialFilter(gains)(waves(cycles))
    assert torch.allclose(out - 0.5, gains[ring] * (waves(cycles) - 0.5), atol=1e-9)


def test_gains_between_two_rings_lie_between():
    out = RadialFilter((1, 1, 1, 1, 1, 2, 2, 2))(waves(5 / 16))  # between the middles of rings 4 and 5
    assert torch.allclose(out - 0.5, math.sqrt(2) * (waves(5 / 16) - 0.5), atol=1e-9)


def test_no_amount_is_the_identity(whole, parts):
    radial = fit_radial_filter(whole, parts, 0.0)
    assert radial.gains == UNIT and radial(whole) is whole


@pytest.mark.parametrize("shape", [lambda x: unsharp(x, 0.5), lambda x: 0.7 * unsharp(x, 0.3)])
def test_all_of_it_matches_the_spectrum_that_it_was_fitted_to(whole, shape):
    like = shape(whole)
    got, wanted = (band_powers(x) for x in (fit_radial_filter(whole, like, 1.0)(whole), like))
    assert (got / got[1])[1:].tolist() == pytest.approx((wanted / wanted[1])[1:].tolist(), rel=0.02)


def test_matches_other_pictures_too_within_its_bounds(whole, parts):
    radial = fit_radial_filter(whole, parts, 1.0)
    before, after, wanted = (powers / powers[1] for powers in map(band_powers, (whole, radial(whole), parts)))
    for gain, b, a, w in list(zip(radial.gains, before, after, wanted, strict=True))[2:]:
        if 0.51 < gain < 1.99:
            assert a.item() == pytest.approx(w.item(), rel=0.1)
        else:
            assert abs(math.log(a / w)) < abs(math.log(b / w))


def test_half_of_it_is_the_square_root(whole, parts):
    full, half = (fit_radial_filter(whole, parts, amount).gains for amount in (1.0, 0.5))
    assert half == pytest.approx([math.sqrt(gain) for gain in full])


def test_power_law_lifts_what_a_blur_took():
    """Noise under a power law, blurred: the law is found again from its low frequencies, and beyond them restored."""
    noise = torch.randn(24, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    axis = torch.fft.fftfreq(64, dtype=torch.float64)
    radius = (axis[:, None] ** 2 + axis**2).sqrt()
    radius[0, 0] = 1 / 64
    lawful = torch.fft.ifft2(torch.fft.fft2(noise) / radius).real * 0.01
    blurred = torch.fft.ifft2(torch.fft.fft2(lawful) * (1 - 0.8 * radius)).real
    gains = fit_radial_filter(blurred, blurred, 1.0, "power law").gains
    assert gains[:2] == (1, 1) and 1.2 < gains[-1] < 1.6
    assert all(b > a for a, b in itertools.pairwise(gains[1:]))


def test_flat_pictures_stay():
    flat = torch.full((2, 3, 40, 30), 0.3)
    radial = RadialFilter((1, 1, 1.2, 1.4, 1.6, 1.8, 2, 2))
    assert torch.allclose(radial(flat), flat, atol=1e-6)
    assert fit_radial_filter(torch.full((1, 3, 32, 32), 0.3), torch.full((1, 3, 32, 32), 0.6), 1.0).gains == pytest.approx(UNIT)


def test_the_mean_of_any_picture_stays_and_bytes_stay_bytes(whole, parts):
    out = fit_radial_filter(whole, parts, 1.0)(whole)
    assert torch.allclose(out.mean((-2, -1)), whole.mean((-2, -1)), atol=1e-6) and out.dtype == whole.dtype
    assert to_uint8(out).dtype == torch.uint8


def test_gains_are_bounded(whole):
    smooth = upscale(downscale(whole, 4), 4)
    less, more = (fit_radial_filter(*pair, 1.0).gains for pair in ((whole, smooth), (smooth, whole)))
    assert less[-1] == pytest.approx(0.5) and more[-1] == pytest.approx(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"amount": 1.5}, "0 to 1, got 1.5"),
        ({"target": "mine"}, "unknown target 'mine'"),
        ({"like": torch.zeros(1, 3, 32, 32)}, "other frequencies"),
        ({"like": torch.zeros(0, 3, 64, 64)}, "one or more images"),
    ],
)
def test_what_cannot_be_fitted_is_refused(whole, parts, given, message):
    with pytest.raises(PictureError, match=message):
        fit_radial_filter(**({"images": whole, "like": parts, "amount": 1.0} | given))


def test_too_small_pictures_and_wild_gains_are_refused():
    with pytest.raises(PictureError, match="no frequency in ring 1"):
        band_powers(torch.zeros(1, 3, 6, 6))
    with pytest.raises(PictureError, match="8 gains from 0.5 to 2"):
        RadialFilter((1.0,) * 7 + (3.0,))
