"""Pictures as bytes: what comes back, at which price, and which coding is the cheapest that is good enough."""

import pytest
import torch

from srdistill.measures.detail import restored
from srdistill.sets.coding import Coding, CodingError, cheapest, decode, encode, error_share, residual_energy

LOSSLESS = (Coding("png"), Coding("webp"))


@pytest.fixture(scope="module")
def tile(train_photos):
    """96 x 96 px of the astronaut's face."""
    return dict(train_photos)["astronaut"][:, 60:156, 170:266].contiguous()


@pytest.mark.parametrize("coding", LOSSLESS, ids=lambda coding: coding.name)
def test_lossless_codings_give_every_pixel_back(pictures, coding):
    for image in (*pictures.images, pictures.images[0][:, :1, :7], pictures.images[0].transpose(1, 2)):
        assert torch.equal(decode(encode(image, coding)), image)


@pytest.mark.parametrize("coding", [*LOSSLESS, Coding("jpeg", 90), Coding("webp", 80)], ids=lambda coding: coding.name)
def test_the_same_picture_gives_the_same_bytes(tile, coding):
    assert encode(tile, coding) == encode(tile.clone(), coding)


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_a_lower_quality_takes_fewer_bytes_and_more_of_the_detail(tile, format):
    coded = [encode(tile, Coding(format, quality)) for quality in (95, 90, 85, 80, 50)]
    sizes = [len(data) for data in coded]
    shares = [error_share(tile, decode(data), 2) for data in coded]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 5
    assert shares == sorted(shares) and sizes[0] < len(encode(tile, Coding("webp")))


def test_colour_is_not_subsampled_in_jpeg():
    """Red and blue columns of one pixel stay apart, which they do not in lossy WebP."""
    stripes = torch.zeros(3, 32, 32, dtype=torch.uint8)
    stripes[0, :, ::2], stripes[2, :, 1::2] = 200, 200
    apart = {format: decode(encode(stripes, Coding(format, 95))).float() for format in ("jpeg", "webp")}
    contrast = {format: float((image[0, :, ::2] - image[0, :, 1::2]).mean()) for format, image in apart.items()}
    assert contrast["jpeg"] > 180 and contrast["webp"] < 120


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_residual_is_what_bicubic_does_not_restore(tile, scale):
    error = tile.double() - restored(tile, scale).double()
    assert residual_energy(tile, scale) == pytest.approx(float(error.square().mean()), rel=1e-6)


def test_share_is_of_the_residual(tile):
    assert error_share(tile, tile, 2) == 0
    assert error_share(tile, restored(tile, 2), 2) == pytest.approx(1)


def test_sides_that_the_scale_does_not_divide_have_a_share_too(tile):
    odd = tile[:, :95, :94]
    assert 0 < error_share(odd, decode(encode(odd, Coding("jpeg", 90))), 4) < 1


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_the_cheapest_keeps_the_share_and_nothing_allowed_is_smaller(train_photos, scale, share):
    for image in train_photos.images[:4]:
        tile = image[:, 96:192, 96:192]
        best = cheapest(tile, scale, share)
        assert best.error_share <= share
        assert best.error_share == error_share(tile, decode(best.data), scale)
        for coding in (Coding("webp"), *(Coding("jpeg", quality) for quality in (95, 90, 85, 80))):
            data = encode(tile, coding)
            assert len(data) >= len(best.data) or error_share(tile, decode(data), scale) > share


def test_a_larger_share_never_costs_more(tile):
    sizes = [len(cheapest(tile, 2, share).data) for share in (0, 0.01, 0.05, 0.1, 0.2, 0.5, 5)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 2 * sizes[-1]


def test_no_share_is_lossless(tile):
    best = cheapest(tile, 2, 0)
    assert best.coding == Coding("webp") and best.error_share == 0
    assert torch.equal(decode(best.data), tile)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_flat_tile_is_lossless_at_any_share(level):
    flat = torch.full((3, 96, 96), level, dtype=torch.uint8)
    best = cheapest(flat, 2, 10.0)
    assert best.coding.lossless and best.error_share == 0 and len(best.data) < 100


def test_names_and_suffixes():
    assert [(coding.name, coding.suffix) for coding in (Coding("webp"), Coding("jpeg", 90))] == [
        ("webp lossless", ".webp"),
        ("jpeg q90", ".jpg"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gif",), "unknown format 'gif' of pictures; there are: png, webp, jpeg, avif"),
        (("jpeg", 101), "quality must be 1 to 100, or 0 for lossless, got 101"),
        (("png", 90), "png is always lossless, got quality 90"),
        (("jpeg",), "jpeg is not lossless here"),
    ],
)
def test_codings_that_there_are_not(arguments, message):
    with pytest.raises(CodingError, match=message):
        Coding(*arguments)


def test_wrong_requests_for_the_cheapest(tile):
    with pytest.raises(CodingError, match="must be 0 or more, got -0.1"):
        cheapest(tile, 2, -0.1)
    with pytest.raises(CodingError, match="must be 0 or more, got nan"):
        cheapest(tile, 2, float("nan"))
    with pytest.raises(CodingError, match="no lossless coding in formats jpeg with qualities 0, 90"):
        cheapest(tile, 2, 0.1, (0, 90), ("jpeg",))
    with pytest.raises(CodingError, match="unknown format 'gif'"):
        cheapest(tile, 2, 0.1, formats=("gif", "png"))


def test_bytes_that_are_no_picture(tile):
    with pytest.raises(CodingError, match="no picture, or a damaged one"):
        decode(b"not a picture")
    with pytest.raises(CodingError, match="no picture, or a damaged one"):
        decode(encode(tile, Coding("png"))[:500])
