"""The evaluation convention and its published acceptance numbers."""

import pytest
import torch
import torch.nn.functional as F

from srdistill.images.convention import bicubic, low_resolution, mod_crop
from srdistill.images.pictures import read_folder, to_float, to_uint8
from srdistill.images.resize import ScaleError, downscale, upscale
from srdistill.measures.metrics import psnr, ssim
from srdistill.training.evaluate import evaluate


def mean(rows, column):
    return sum(row[column] for row in rows) / len(rows)


@pytest.mark.parametrize(
    ("name", "scale", "count", "psnr_db", "ssim_value"),
    [
        ("set5", 2, 5, 32.0620, 0.9127),
        ("set14", 2, 14, 28.7188, 0.8483),
        ("set5", 4, 5, 26.8644, 0.7765),
        ("set14", 4, 14, 24.5779, 0.6682),
    ],
)
def test_bicubic_has_the_published_scores(shared_data, name, scale, count, psnr_db, ssim_value):
    rows = evaluate(None, read_folder(shared_data / name), scale)
    assert len(rows) == count
    assert mean(rows, "psnr") == pytest.approx(psnr_db, abs=5e-4)
    assert mean(rows, "ssim") == pytest.approx(ssim_value, abs=5e-5)


@pytest.mark.parametrize(("luma", "expected"), [(True, (33.6818, 0.9305)), (False, (31.7999, 0.9091))])
def test_matlab_bicubic_both_ways_has_the_classic_scores_of_set5(shared_data, luma, expected):
    scores = []
    for image in read_folder(shared_data / "set5").images:
        hr = mod_crop(image, 2)[None]
        sr = upscale(to_float(low_resolution(hr, 2)), 2)
        scores.append([float(psnr(sr, hr, 2, luma)), float(ssim(sr, hr, 2, luma))])
    means = torch.tensor(scores).mean(0).tolist()
    assert means[0] == pytest.approx(expected[0], abs=5e-4)
    assert means[1] == pytest.approx(expected[1], abs=6e-5)


def test_mod_crop_keeps_the_top_left():
    image = torch.arange(3 * 27 * 38).view(3, 27, 38)
    assert torch.equal(mod_crop(image), image[:, :24, :36])
    assert torch.equal(mod_crop(image, 5), image[:, :25, :35])


@pytest.mark.parametrize("shape", [(11, 40), (40, 11)])
def test_picture_below_twelve_pixels_is_refused(shape):
    with pytest.raises(ScaleError, match=f"{shape[0]} x {shape[1]} px is smaller than 12 px"):
        mod_crop(torch.zeros(3, *shape, dtype=torch.uint8))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_low_resolution_is_rounded_and_clamped_matlab_bicubic(pictures, scale):
    hr = mod_crop(pictures.images[0])
    lr = low_resolution(hr, scale)
    assert lr.dtype == torch.uint8 and lr.shape == (3, 96 // scale, 120 // scale)
    exact = downscale(hr.double(), scale).clamp(0, 255)
    assert (lr - exact).abs().max() <= 0.5 + 1e-4


def test_low_resolution_clamps_the_overshoot():
    edge = torch.zeros(3, 24, 24, dtype=torch.uint8)
    edge[..., 12:] = 255
    exact = downscale(edge.double(), 2)
    assert exact.min() < -1 and exact.max() > 256
    lr = low_resolution(edge, 2)
    assert lr[0, 5, :5].max() < 128 and lr[0, 5, 7:].min() > 127


def test_low_resolution_of_a_scale_that_does_not_divide_is_refused():
    with pytest.raises(ScaleError, match="25 x 24"):
        low_resolution(torch.zeros(3, 25, 24, dtype=torch.uint8), 2)


def test_bicubic_is_torchs_enlargement(pictures):
    lr = to_float(low_resolution(pictures.images[1], 4))[None]
    expected = F.interpolate(lr, size=(80, 80), mode="bicubic", align_corners=False)
    assert torch.allclose(bicubic(lr, 4), expected, atol=1e-6)
    assert not torch.equal(to_uint8(bicubic(lr, 4)), to_uint8(upscale(lr, 4)))
