"""Herding on points whose best choice is known, and sets that are chosen by it."""

from itertools import combinations

import pytest
import torch

from srdistill.networks import build_network
from srdistill.papers.beyond.selecting.herded import herded
from srdistill.papers.beyond.shaping.shaped import shaped
from srdistill.papers.beyond.tiles.herding import herd
from srdistill.papers.beyond.tiles.tile_embedding import unit_rows
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError


def off(points, chosen):
    """How far the mean of the chosen is from that of all."""
    return float((points[chosen].mean(0) - points.mean(0)).norm())


def drawn(count, seed=0, width=5):
    return unit_rows(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + 0.4, standardise=False)


def test_one_point_is_the_one_nearest_to_the_mean():
    points = drawn(30)
    nearest = (points - points.mean(0)).norm(dim=1).argmin()
    assert herd(points, 1).tolist() == [int(nearest)]


def test_opposite_points_are_taken_in_pairs():
    """The mean of all is zero: two points that cancel are as good as it gets."""
    points = torch.tensor([[1.0, 0.0], [0.0, 0.75], [-1.0, 0.0], [0.0, -0.75]])
    assert set(herd(points, 2).tolist()) == {1, 3} and off(points, herd(points, 2)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_exchanges_help_and_few_of_all_choices_are_better(seed):
    points = drawn(12, seed)
    every = sorted(off(points, list(chosen)) for chosen in combinations(range(12), 4))
    plain, better = (off(points, herd(points, 4, passes=passes)) for passes in (0, 5))
    assert every[0] <= better + 1e-6 and better <= plain and better <= every[len(every) // 20]


def test_no_exchange_is_left_that_would_help():
    points = drawn(25, 7)
    chosen = herd(points, 6, passes=50).tolist()
    least = off(points, chosen)
    for place in range(6):
        for other in set(range(25)) - set(chosen):
            assert off(points, [*chosen[:place], other, *chosen[place + 1 :]]) >= least - 1e-4


def test_nearer_to_the_mean_than_hundreds_of_random_choices():
    points, draws = drawn(200, width=20), torch.Generator().manual_seed(1)
    chance = [off(points, torch.randperm(200, generator=draws)[:20]) for _ in range(300)]
    assert off(points, herd(points, 20)) < 0.6 * min(chance)


def test_all_points_once_and_no_more():
    points = drawn(9)
    assert sorted(herd(points, 9).tolist()) == list(range(9))
    for count in (0, 10):
        with pytest.raises(SelectionError, match=f"{count} of 9 candidates"):
            herd(points, count)


def test_no_more_than_the_cap_from_one_picture():
    points, groups = drawn(40), torch.arange(40) // 10
    chosen = herd(points, 8, groups=groups, cap=2)
    assert len(set(chosen.tolist())) == 8 and groups[chosen].bincount(minlength=4).tolist() == [2, 2, 2, 2]
    with pytest.raises(SelectionError, match="only 4 of 5 can be taken, at most 1 of one picture; raise the cap"):
        herd(points, 5, groups=groups, cap=1)


def test_threads_and_the_order_of_sums_change_nothing():
    points = drawn(300, width=64)
    whole = herd(points, 30)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(whole, herd(points, 30))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(whole, herd(points.flip(1), 30))


@pytest.fixture(scope="module")
def networks():
    return [build_network("SRCNN", 2, 0, kernels=(5, 1, 5), widths=(8, 6)), build_network("EDSR", 2, 1, width=6, depth=1)]


def chosen_of(pictures, networks, count=6, **given):
    asked = {"networks": networks, "budget": (count + 0.5) * 24**2 / pictures.pixels, "size": 24, "scale": 2}
    return herded(pictures, **asked | given, generator=generator_for(1, "test"))


def test_a_set_with_the_mean_gradient_of_a_larger_one(pictures, networks):
    made = chosen_of(pictures, networks)
    source = shaped(pictures, size=24, count=24, generator=generator_for(1, "test"))
    known = {image.numpy().tobytes(): int(label) for image, label in zip(source.images, source.labels, strict=True)}
    assert [known[image.numpy().tobytes()] for image in made.images] == made.labels.tolist()
    assert len(made) == 6 and made.method == "herded" and made.settings["candidates"] == 24
    assert made.labels.bincount().max() <= 4
    assert made.settings["mean_distance"] < made.settings["random_distance"]
    assert torch.equal(made.images, chosen_of(pictures, networks).images)


def test_every_picture_is_a_candidate_at_least_once(pictures, networks):
    assert chosen_of(pictures, networks, count=1, candidates=2).settings["candidates"] == len(pictures)


def test_what_leaves_no_choice_is_refused(pictures, networks):
    with pytest.raises(SelectionError, match="candidates must be 2 or more times what is chosen, got 1"):
        chosen_of(pictures, networks, candidates=1)
    with pytest.raises(SelectionError, match="less than one tile"):
        chosen_of(pictures, networks, count=-0.4)
