"""Whole pictures, shrunk: which at which level, and what comes out."""

from pathlib import Path

import pytest
import torch

from srdistill.distill.shrunk import cut, level_of, plan
from srdistill.distill.sources import Source
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.sets.downscaled import downscaled


def sources(*sizes):
    return [Source(Path(f"{index}.png"), f"{index}.png", *size, 1, 1) for index, size in enumerate(sizes)]


def planned(given, count, tile=96, seed=0):
    chosen = plan(given, count, tile, torch.Generator().manual_seed(seed))
    return chosen, sum(level_of(source.height, source.width, level, tile).tiles for source, level in chosen)


def test_a_picture_at_the_first_level_is_the_downscaled_one(train_photos):
    """Of a square picture: of others the set's central square is cut first, and pixels near its borders differ."""
    real = train_photos.select(["astronaut"])
    baseline = downscaled(real, ipc=1, size=96, generator=torch.Generator())
    assert torch.equal(cut(real.images[0], 1, 96), baseline.images)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_tiles_are_the_shrunken_picture_from_its_middle(train_photos, level):
    image = dict(train_photos)["rocket"]
    at = level_of(*image.shape[1:], level, 64)
    whole = to_uint8(resize(to_float(image), (at.height, at.width)))
    tiles = cut(image, level, 64)
    assert min(at.height, at.width) == level * 64 and len(tiles) == at.tiles == at.rows * at.columns
    left = (at.width - at.columns * 64) // 2
    assert torch.equal(tiles[0], whole[:, :64, left : left + 64])
    assert torch.equal(tiles[-1], whole[:, -64:, left + (at.columns - 1) * 64 : left + at.columns * 64])


def test_a_picture_of_a_tile_is_left_as_it_is(pictures):
    tile = pictures.images[1]
    assert torch.equal(cut(tile, 1, 80)[0], tile)


def test_both_ways_of_holding_a_picture_give_the_same_sizes():
    for height, width in ((321, 481), (1356, 2040), (97, 1000), (333, 334)):
        for level in range(4):
            one, other = level_of(height, width, level, 48), level_of(width, height, level, 48)
            assert (one.height, one.width, one.rows, one.columns) == (other.width, other.height, other.columns, other.rows)


def test_a_small_budget_takes_one_tile_of_pictures_from_all_over_the_list():
    chosen, total = planned(sources(*[(321, 481)] * 300), 100)
    places = [int(source.name[:-4]) for source, _ in chosen]
    assert total == len(chosen) == 100 and places == sorted(places)
    gaps = [after - before for before, after in zip(places, places[1:], strict=False)]
    assert max(gaps) <= 5 and places[0] < 5 and places[-1] > 294


def test_a_larger_budget_raises_pictures_to_the_next_level():
    chosen, total = planned(sources(*[(321, 481)] * 100), 350)
    levels = [level for _, level in chosen]
    assert set(levels) == {1, 2} and len(levels) == 100 and total == 350
    # 2 x 3 tiles each.
    assert levels.count(2) == 50


def test_nothing_is_enlarged_and_everything_is_the_end():
    given = sources((100, 100), (400, 300), (96, 960))
    chosen, total = planned(given, 10**6)
    assert [level for _, level in chosen] == [1, 3, 1] and total == 1 + 12 + 10


def test_a_long_picture_gives_its_middle_to_the_smallest_budget():
    chosen, total = planned(sources((100, 1000)), 1)
    assert total == 1 and chosen[0][1] == 0
    image = torch.arange(1000).remainder(256).to(torch.uint8).expand(3, 100, 1000)
    assert cut(image, 0, 50).shape == (1, 3, 50, 50)


@pytest.mark.parametrize("count", [1, 7, 20, 111, 500])
def test_the_budget_is_never_exceeded_and_nearly_used(count):
    draws = torch.Generator().manual_seed(count)
    given = sources(*torch.randint(96, 900, (40, 2), generator=draws).tolist())
    _, total = planned(given, count)
    assert total <= count
    largest = planned(given, 10**9)[1]
    assert total >= min(count, largest) * 0.8


def test_seeds_choose_other_pictures_and_the_same_seed_the_same():
    given = sources(*[(200, 300)] * 50)
    assert planned(given, 10, seed=1) == planned(given, 10, seed=1) != planned(given, 10, seed=2)
