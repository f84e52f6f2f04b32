"""Shaped shrinking: which squares of a picture, with which kernel, and what is done to them afterwards."""

import pytest
import torch

from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.images.shrinking import KERNELS, LANCZOS, shrink
from srdistill.images.unsharp import unsharp
from srdistill.papers.beyond.shaping.radial_filter import RadialFilter, band_powers
from srdistill.papers.beyond.shaping.shaped import full_size_windows, shaped
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.downscaled import downscaled


def make(pictures, seed=0, **given):
    return shaped(pictures, **({"size": 32, "generator": generator_for(seed, "test")} | given))


def place_picture(height, width):
    """A picture that says where its pixels are: row in red, column in green."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, torch.zeros_like(rows)]).to(torch.uint8)


def test_bicubic_alone_is_downscaled_bit_for_bit(pictures):
    expected = downscaled(pictures, ipc=1, size=32, generator=generator_for(0, "test"))
    made = make(pictures)
    assert torch.equal(made.images, expected.images) and torch.equal(made.labels, expected.labels)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_then_sharpening_then_rounding_once(pictures, kernel):
    image = pictures.images[1]  # 80 x 80 px
    expected = to_uint8(unsharp(shrink(to_float(image)[None], (32, 32), kernel), 0.5))
    assert torch.equal(make(pictures, kernel=kernel, sharpen=0.5).images[1:2], expected)


def test_further_squares_lie_along_the_longer_side():
    wide = Pictures((place_picture(40, 100), place_picture(100, 40)), ("wide", "tall"))
    made = make(wide, size=40, ipc=5)
    corners = [tuple(image[:2, 0, 0].tolist()) for image in made.images]
    assert corners == [(0, 30), (0, 0), (0, 60), (0, 15), (0, 45), (30, 0), (0, 0), (60, 0), (15, 0), (45, 0)]
    assert made.labels.tolist() == [0] * 5 + [1] * 5


def test_where_there_is_no_room_further_squares_are_smaller():
    square = Pictures((place_picture(96, 96),), ("square",))
    made = make(square, ipc=4)
    seen = [int(image[1, 0].max()) - int(image[1, 0].min()) for image in made.images]
    assert seen[0] > 90 and 60 <= seen[1] <= 70 and 42 <= seen[2] <= 50 and 28 <= seen[3] <= 36
    assert len({image.numpy().tobytes() for image in made.images}) == 4


@pytest.mark.parametrize(("count", "least", "most"), [(2, 0, 1), (3, 1, 1), (7, 2, 3)])
def test_count_is_dealt_out_evenly(pictures, count, least, most):
    made = make(pictures, count=count)
    shares = made.labels.bincount(minlength=3)
    assert len(made) == count and shares.min() == least and shares.max() == most
    assert made.settings["count"] == count and "ipc" not in made.settings
    drawn = {tuple(make(pictures, seed=seed, count=2).labels.tolist()) for seed in range(8)}
    assert len(drawn) > 1


def test_factors_bound_how_much_a_square_is_shrunk():
    square = Pictures((place_picture(128, 160),), ("square",))
    made = make(square, ipc=30, factors=(0.3, 0.8))
    seen = torch.tensor([32 / (int(image[1, 0].max()) - int(image[1, 0].min()) + 1) for image in made.images])
    assert seen.min() > 0.27 and seen.max() < 0.88 and seen.std() > 0.1
    whole = make(square, factors=(0.01, 0.02))  # no picture allows that: the whole shorter side
    assert int(whole.images[0, 0].max()) > 120


def test_the_filter_is_fitted_to_full_size_windows_and_moves_towards_them(pictures):
    plain, made = make(pictures), make(pictures, match=1.0)
    wanted = band_powers(full_size_windows(pictures, 32, generator_for(0, "test")))
    gains = made.settings["gains"]
    assert len(gains) == 8 and plain.settings.get("gains") is None and not torch.equal(plain.images, made.images)
    before, after, wanted = (p[5] / p[1] for p in (band_powers(plain.images), band_powers(made.images), wanted))
    assert abs((after / wanted).log()) < abs((before / wanted).log())
    assert make(pictures, match=1.0, target="power law").settings["gains"] != gains
    again = RadialFilter(tuple(gains))(shrink(to_float(pictures.images[1])[None], (32, 32)))
    assert (to_uint8(again)[0].int() - made.images[1].int()).abs().max() <= 1  # gains are printed with four digits


def test_flat_pictures_stay_flat():
    flat = Pictures((torch.full((3, 50, 60), 77, dtype=torch.uint8),), ("flat",))
    made = make(flat, kernel=LANCZOS, sharpen=0.5, match=1.0)
    assert bool((made.images == 77).all())


def test_extremes_stay_bytes():
    checks = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8).expand(3, 64, 64).contiguous()
    made = make(Pictures((checks,), ("checks",)), size=64, sharpen=2.0)
    assert set(made.images.unique().tolist()) == {0, 255}  # clamped, not wrapped around


def test_the_seed_decides(pictures):
    given = {"ipc": 4, "match": 0.5}
    assert torch.equal(make(pictures, **given).images, make(pictures, **given).images)
    assert not torch.equal(make(pictures, **given).images, make(pictures, seed=1, **given).images)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"size": 100}, PictureError, "smaller than the synthetic images of 100 px"),
        ({"ipc": 0}, ValueError, "must be 1 or more, got 0"),
        ({"count": -1}, SelectionError, "got -1"),
        ({"kernel": "box"}, ValueError, "unknown kernel 'box'"),
        ({"sharpen": -1.0}, PictureError, "0 or more, got -1"),
        ({"match": 2.0}, PictureError, "0 to 1, got 2"),
        ({"factors": (0.5, 0.2)}, SelectionError, r"got \(0.5, 0.2\)"),
        ({"factors": (0.5,)}, SelectionError, "within 0 and 1"),
    ],
)
def test_what_cannot_be_made_is_refused(pictures, given, error, message):
    with pytest.raises(error, match=message):
        make(pictures, **given)
