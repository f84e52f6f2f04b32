"""Pyramid coverage as a whole: budgets, switches, labels, trimming by hand, and what cannot be."""

from dataclasses import replace

import pytest
import torch

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import PictureError, Pictures
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.networks import build_network
from srdistill.papers.beyond.selecting.pyramid_coverage import Coverage, pyramid_coverage
from srdistill.papers.beyond.tiles.facility_location import facility_location
from srdistill.papers.beyond.tiles.spectrum_embedding import spectrum_embedding
from srdistill.papers.beyond.tiles.tile_budget import first_capped, tile_cap, tile_count
from srdistill.papers.beyond.tiles.tile_embedding import embedded
from srdistill.papers.beyond.tiles.trimming import thinned, trimmed
from srdistill.sets.distilled_set import SelectionError, png_bytes
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import Tiles, scored_tiles, tile_pixels

SMALL = Coverage(stride=12)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(pictures, **changes):
    """24-px tiles of three small pieces, 12 of them."""
    settings = replace(SMALL, **{key: changes.pop(key) for key in list(changes) if hasattr(SMALL, key)})
    given = {"scale": 2, "generator": generator(), "budget": 0.28, "tile": 24, "settings": settings} | changes
    return pyramid_coverage(pictures, **given)


def test_set_is_the_greedy_choice_among_trimmed_tiles(pictures):
    made = small(pictures)
    everything = scored_tiles(pictures.images, Pyramid(24, 12), 2)
    tiles = everything.at(trimmed(everything, 0.4, 0.03))
    rows = embedded(pictures.images, tiles, spectrum_embedding(2))
    count = int(0.28 * pictures.pixels / 24**2)
    chosen = facility_location(rows, budget=count, generator=generator(), groups=tiles.picture, cap=tile_cap(4.0, count, 3))
    assert len(made) == len(chosen) == count
    assert torch.equal(made.images, tile_pixels(pictures.images, tiles.at(chosen)))
    assert torch.equal(made.labels, tiles.picture[chosen].long()) and made.names == pictures.names
    about = made.settings
    assert about["levels_chosen"] == tiles.at(chosen).per_level() and sum(about["levels_chosen"].values()) == count
    assert about["all_tiles"] == len(everything) and about["candidates"] == len(tiles)
    assert about["embedding"] == "spectrum" and 0 < about["covered"] <= 1
    assert made.digest == small(pictures).digest


def test_smaller_budget_is_a_beginning(pictures):
    long, short = small(pictures, cap=None), small(pictures, cap=None, budget=0.1)
    assert torch.equal(long.images[: len(short)], short.images)


def test_without_scale_all_tiles_are_cut_from_the_pictures(pictures):
    made = small(pictures, levels=(1.0,))
    assert set(made.settings["levels_chosen"]) == {"1"}
    for image, label in zip(made.images, made.labels.tolist(), strict=True):
        windows = pictures.images[label].unfold(1, 24, 1).unfold(2, 24, 1).permute(1, 2, 0, 3, 4)
        assert bool((windows == image).flatten(2).all(2).any())


def test_without_trim_everything_is_a_candidate(pictures):
    made = small(pictures, low=0.0, high=0.0)
    assert made.settings["candidates"] == made.settings["all_tiles"]


def test_highest_first_and_random_instead_of_coverage(pictures):
    everything = scored_tiles(pictures.images, Pyramid(24, 12), 2)
    highest = small(pictures, choose="highest", low=0.0, high=0.0, cap=None)
    best = everything.score.argsort(descending=True, stable=True)[: len(highest)]
    assert torch.equal(highest.images, tile_pixels(pictures.images, everything.at(best)))
    one, same, other = (small(pictures, choose="random", generator=generator(seed)) for seed in (0, 0, 1))
    assert one.digest == same.digest != other.digest and "covered" not in one.settings


def test_coverage_covers_more_than_chance_and_than_hardness(pictures):
    everything = scored_tiles(pictures.images, Pyramid(24, 12), 2)
    covered = small(pictures).settings["covered"]
    tiles = everything.at(trimmed(everything, 0.4, 0.03))
    rows = embedded(pictures.images, tiles, spectrum_embedding(2))
    for seed in range(5):
        chance = torch.randperm(len(tiles), generator=generator(seed))[:12]
        assert covered > float((rows @ rows[chance].T).clamp(min=0).amax(1).mean())


def test_balance_makes_small_levels_count(pictures):
    plain, balanced = (small(pictures, balance=b).settings["levels_chosen"] for b in (False, True))
    assert balanced["1"] < plain["1"]


def test_cap_limits_the_tiles_of_a_picture(pictures):
    made = small(pictures, cap=1.0)
    assert made.labels.bincount(minlength=3).tolist() == [4, 4, 4]


def test_gains_per_cost_spend_what_average_candidates_do(pictures):
    def variance(tiles):
        return 1 + tiles.float().var((1, 2, 3))

    plain, made = small(pictures), small(pictures, cost=variance)
    about, spent = made.settings, float(variance(made.images).sum())
    assert about["cost"] == "variance" and spent == pytest.approx(about["spent"])
    assert 0.8 * about["cost_limit"] < spent <= about["cost_limit"]
    # More tiles for it, where cheap ones are taken.
    assert len(made) > len(plain) and spent / len(made) < float(variance(plain.images).mean())
    with pytest.raises(SelectionError, match="a choice by cost needs coverage, got 'random'"):
        small(pictures, cost=variance, choose="random")


def test_gradients_may_take_the_place_of_the_spectrum(pictures):
    networks = [build_network("SRCNN", 2, 0, kernels=(3, 1, 3), widths=(4, 4)), build_network("EDSR", 2, 0, width=4, depth=1)]
    made = small(pictures, networks=networks)
    assert made.settings["embedding"] == "gradients" and len(made) == len(small(pictures))


def test_pictures_in_files_give_the_same_set(pictures, tmp_path):
    for name, image in pictures:
        (tmp_path / f"{name}.png").write_bytes(png_bytes(image))
    files = PicturesInTurn([tmp_path / f"{name}.png" for name in pictures.names])
    assert small(files, workers=2).digest == small(pictures).digest


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_real_photographs(scale):
    made = pyramid_coverage(photos("test"), scale=scale, generator=generator(), budget=0.1)
    assert made.images.shape[1:] == (3, 96, 96) and made.images.dtype == torch.uint8
    pixels = photos("test").pixels
    assert len(made) == int(0.1 * pixels / 96**2)
    assert made.sizes.pixels <= 0.1 * pixels
    assert sum(count > 0 for count in made.settings["levels_chosen"].values()) >= 3


def test_what_cannot_be_is_refused(pictures):
    for budget in (0, -1, 1.01, float("nan")):
        with pytest.raises(SelectionError, match=r"budget is a share of all pixels in \(0, 1\], got"):
            small(pictures, budget=budget)
    with pytest.raises(SelectionError, match="0.001 of 25,408 pixels is less than one tile of 24 x 24 px; raise it to 0.023"):
        small(pictures, budget=0.001)
    with pytest.raises(SelectionError, match="asks for 44 tiles, but only .* lower the budget, trim less, raise the cap"):
        small(pictures, budget=1.0, low=0.9, high=0.0)
    with pytest.raises(PictureError, match="none of 3 pictures holds a tile of 96 px"):
        small(Pictures(tuple(i[:, :80, :80] for i in pictures.images), pictures.names), tile=96)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 0.6, "high": 0.4}, "low and high must be shares that leave something, got 0.6 and 0.4"),
        ({"low": -0.1}, "got -0.1 and 0.03"),
        ({"choose": "best"}, "unknown choice 'best'; there are: coverage, highest, random"),
        ({"cap": 0}, "cap must be above 0 or None, got 0"),
        ({"ground": 0}, "ground and per_picture must be 1 or more, got 0 and 256"),
        ({"per_picture": 0}, "got 20000 and 0"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(SelectionError, match=message):
        Coverage(**change)


def made_up(picture, level, score):
    count = len(picture)
    zeros = torch.zeros(count, dtype=torch.int32)
    parts = (torch.tensor(picture, dtype=torch.int32), torch.tensor(level, dtype=torch.int8), zeros, zeros)
    return Tiles(Pyramid(), *parts, torch.tensor(score, dtype=torch.float64), 1, 1, 0)


def test_trimming_by_hand():
    scores = [5.0, 1.0, 9.0, 3.0, 7.0]
    assert trimmed(made_up([0] * 5, [0] * 5, scores), 0.4, 0.2).tolist() == [0, 4]
    assert trimmed(made_up([0] * 5, [0] * 5, scores), 0.39, 0.19).tolist() == [0, 2, 3, 4]
    assert trimmed(made_up([0] * 10, [0] * 5 + [3] * 5, scores + [s * 100 for s in scores]), 0.4, 0.2).tolist() == [0, 4, 5, 9]
    assert trimmed(made_up([0] * 4, [1] * 4, [2.0] * 4), 0.5, 0.0).tolist() == [2, 3]


def test_thinning_keeps_a_few_of_each_picture():
    tiles = made_up([0] * 10 + [4] * 2 + [5] * 3, [0] * 15, [0.0] * 15)
    kept = thinned(tiles, 3, generator())
    assert tiles.picture[kept].bincount().tolist() == [3, 0, 0, 0, 2, 3] and kept.tolist() == sorted(kept.tolist())
    assert torch.equal(kept, thinned(tiles, 3, generator())) and len(thinned(tiles, None, generator())) == 15


def test_budgets_and_caps_by_hand():
    assert tile_count(0.03, 307_200, 96) == 1 and tile_count(1.0, 4 * 96**2, 96) == 4
    assert tile_count(0.3, 10 * 96**2, 96) == 3, "0.3 times ten is three, whatever floats say"
    assert [tile_cap(4.0, 100, 291), tile_cap(1.0, 12, 3), tile_cap(0.1, 3, 10), tile_cap(None, 5, 5)] == [2, 4, 1, None]
    order, pictures = torch.tensor([4, 3, 2, 1, 0]), torch.tensor([0, 1, 1, 0, 1])
    assert first_capped(order, pictures, 2, None).tolist() == [4, 3]
    assert first_capped(order, pictures, 2, 1).tolist() == [4, 3]
    assert first_capped(order, pictures, 3, 2).tolist() == [4, 3, 2]
    assert first_capped(torch.tensor([4, 2, 1, 0]), pictures, 2, 1).tolist() == [4, 0]
    with pytest.raises(SelectionError, match="asks for 3 tiles, but only 2 are left to choose from, at most 1 of one picture"):
        first_capped(order, pictures, 3, 1)
