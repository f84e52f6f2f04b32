"""Tiles of a pyramid: where they lie, what they score, and that pixels are made again as they were."""

import pytest
import torch

from srdistill.images.convention import mod_crop
from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.images.resize import ScaleError, bicubic_matrix, resize
from srdistill.images.resize_memory import forget_matrices
from srdistill.measures.detail import restored
from srdistill.measures.residual_energy import residual_energy
from srdistill.sets.distilled_set import png_bytes
from srdistill.sets.pyramid import WHOLE, Pyramid
from srdistill.sets.pyramid_tiles import each_picture, for_each_tile, scored_tiles, tile_pixels

SMALL = Pyramid(tile=24, stride=12)


def plain_tiles(pictures, pyramid, scale):
    """Level by level, tile by tile: (picture, level, top, left, mean squared residual, pixels)."""
    found = []
    for label, image in enumerate(pictures.images):
        seen = set()
        for level, factor in enumerate(pyramid.levels):
            height, width = image.shape[1:]
            factor = min(1, pyramid.tile / min(height, width)) if factor == WHOLE else factor
            size = (round(height * factor), round(width * factor))
            if min(size) < pyramid.tile or size in seen:
                continue
            seen.add(size)
            copy = image if size == (height, width) else to_uint8(resize(to_float(image), size))
            part = mod_crop(copy, scale)
            error = (part.double() - restored(part, scale).double()).square()
            starts = []
            for length in part.shape[1:]:
                axis = {*range(0, length - pyramid.tile + 1, pyramid.stride), length - pyramid.tile}
                starts.append(sorted(axis | ({(length - pyramid.tile) // 2} if pyramid.levels[level] == WHOLE else set())))
            for y in starts[0]:
                for x in starts[1]:
                    where = (slice(None), slice(y, y + pyramid.tile), slice(x, x + pyramid.tile))
                    found.append((label, level, y, x, float(error[where].mean()), copy[where]))
    return found


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_and_scores_are_those_of_a_plain_loop(pictures, scale):
    tiles = scored_tiles(pictures.images, SMALL, scale)
    expected = plain_tiles(pictures, SMALL, scale)
    ours = list(zip(*(getattr(tiles, n).tolist() for n in ("picture", "level", "top", "left")), strict=True))
    assert ours == [row[:4] for row in expected]
    assert tiles.score == pytest.approx([row[4] for row in expected], rel=1e-9)
    assert torch.equal(tile_pixels(pictures.images, tiles), torch.stack([row[5] for row in expected]))
    assert tiles.pixels == pictures.pixels and tiles.pictures == 3 and tiles.too_small == 0
    assert sum(tiles.per_level().values()) == len(tiles) and tiles.per_level()["whole"] > 0


def test_energy_of_a_picture_that_bicubic_brings_back_is_nothing():
    image = torch.full((3, 24, 24), 90, dtype=torch.uint8)
    assert residual_energy(image, 24, [0], [0], 2).tolist() == [[0.0]]


def test_whole_level_of_a_wide_picture_has_its_central_square_and_both_ends():
    pyramid = Pyramid(96, 48, (WHOLE,))
    image = torch.randint(256, (3, 321, 481), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    tiles = scored_tiles([image], pyramid, 2)
    assert pyramid.size(321, 481, 0) == (96, 144)
    assert tiles.top.tolist() == [0, 0, 0] and tiles.left.tolist() == [0, 24, 48]


def test_levels_of_the_same_size_count_once_and_small_ones_are_left_out():
    pyramid = Pyramid(96, 48, (1.0, 0.5, 0.25, WHOLE))
    assert pyramid.levels_of(96, 200) == [0]
    assert pyramid.levels_of(192, 300) == [0, 1]
    assert pyramid.levels_of(200, 300) == [0, 1, 3]
    assert pyramid.levels_of(95, 300) == []


def test_some_tiles_in_any_order_have_the_pixels_they_had(pictures):
    tiles = scored_tiles(pictures.images, SMALL, 2)
    order = torch.randperm(len(tiles), generator=torch.Generator().manual_seed(1))[:20]
    every = tile_pixels(pictures.images, tiles)
    assert torch.equal(tile_pixels(pictures.images, tiles.at(order)), every[order])
    assert torch.equal(torch.cat([part for part, _ in each_picture(pictures.images, tiles)]), torch.arange(len(tiles)))
    for batch in (1, 7, 1000):
        means = for_each_tile(pictures.images, tiles.at(order), lambda t: t.double().mean((1, 2, 3)), "means", batch)
        assert torch.equal(means, every[order].double().mean((1, 2, 3)))


def test_pictures_from_files_are_read_one_at_a_time_and_give_the_same(pictures, tmp_path, monkeypatch):
    for name, image in pictures:
        (tmp_path / f"{name}.png").write_bytes(png_bytes(image))
    files = PicturesInTurn([tmp_path / f"{name}.png" for name in pictures.names], "files")
    assert files.names == pictures.names and len(files.images) == 3
    ours, expected = scored_tiles(files.images, SMALL, 2), scored_tiles(pictures.images, SMALL, 2)
    assert torch.equal(ours.score, expected.score)
    read = []
    monkeypatch.setattr("srdistill.images.pictures_in_turn.read_picture", lambda p: read.append(p) or pictures.images[0])
    tile_pixels(files.images, expected.at(torch.tensor([3, 0, 1])))
    assert read == [files.paths[0]]


def test_workers_change_nothing(pictures):
    one, three = (scored_tiles(pictures.images, SMALL, 2, workers=n) for n in (1, 3))
    for name in ("picture", "level", "top", "left", "score"):
        assert torch.equal(getattr(one, name), getattr(three, name))


def test_unreadable_pictures_are_named_or_left_out(pictures, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png_bytes(pictures.images[0]))
    bad.write_bytes(b"no picture")
    files = PicturesInTurn([bad, good])
    with pytest.raises(PictureError, match="bad.png"):
        scored_tiles(files, SMALL, 2)
    seen = []
    tiles = scored_tiles(files, SMALL, 2, unreadable=lambda index, error: seen.append((index, str(error))))
    assert [index for index, _ in seen] == [0] and "bad.png" in seen[0][1]
    assert tiles.picture.unique().tolist() == [1] and tiles.pixels == pictures.images[0][0].numel()


def test_matrices_are_forgotten_after_so_many_pixels(pictures, monkeypatch):
    monkeypatch.setattr("srdistill.sets.pyramid_tiles._FORGET", 1)
    scored_tiles(pictures.images, SMALL, 2)
    assert bicubic_matrix.cache_info().currsize == 0
    before = resize(to_float(pictures.images[0]), (40, 50))
    forget_matrices()
    assert torch.equal(resize(to_float(pictures.images[0]), (40, 50)), before)


def test_what_holds_no_tiles_is_refused(pictures):
    with pytest.raises(PictureError, match="none of 3 pictures holds a tile of 200 px .* use larger pictures or a smaller"):
        scored_tiles(pictures.images, Pyramid(tile=200), 2)
    with pytest.raises(ScaleError, match="scale 4 does not divide the tile of 30 px"):
        scored_tiles(pictures.images, Pyramid(tile=30), 4)
    with pytest.raises(PictureError, match="workers must be 1 or more, got 0"):
        scored_tiles(pictures.images, SMALL, 2, workers=0)
    for levels in ((), (1.0, 1.0), (2.0,), (0,), ("half",)):
        with pytest.raises(PictureError, match="level"):
            Pyramid(levels=levels)
    with pytest.raises(PictureError, match="tile and stride must be 1 px or more, got 96 and 0"):
        Pyramid(stride=0)


def test_pictures_too_small_are_counted_but_their_pixels_are_not_lost(pictures):
    small = Pictures((*pictures.images, pictures.images[0][:, :20, :20]), (*pictures.names, "small"))
    tiles = scored_tiles(small.images, SMALL, 2)
    assert tiles.too_small == 1 and tiles.pictures == 3 and tiles.pixels == pictures.pixels + 400
