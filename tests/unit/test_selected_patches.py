"""Random and selected patches: counts, classes, choices, and errors that name the remedy."""

from dataclasses import replace

import pytest
import torch

from srdistill.images.pictures import PictureError, Pictures
from srdistill.papers.labelfree.patch_pool import candidate_patches
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.papers.labelfree.selected_patches import even_shares, selected_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.random_patches import random_patches

CUT = Selection(stride=8, quantile=0.5)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def key(image):
    return image.contiguous().numpy().tobytes()


# --- random patches -------------------------------------------------------------------------------------------


def test_every_position_of_all_pictures_is_drawn_once():
    generator = seeded(1)
    images = tuple(torch.randint(256, (3, h, w), generator=generator).to(torch.uint8) for h, w in ((9, 12), (8, 8), (11, 8)))
    real = Pictures(images, ("a", "b", "c"))
    made = random_patches(real, count=5 * 2 + 1 + 4, size=8, generator=seeded())
    expected = [
        (label, key(image[:, y : y + 8, x : x + 8]))
        for label, image in enumerate(images)
        for y in range(image.shape[1] - 7)
        for x in range(image.shape[2] - 7)
    ]
    drawn = [(label, key(image)) for label, image in zip(made.labels.tolist(), made.images, strict=True)]
    assert drawn != expected and sorted(drawn) == sorted(expected)


def test_positions_are_equally_likely(pictures):
    """Chi-square of the pictures drawn, against the shares of their positions."""
    shares = torch.tensor([(i.shape[1] - 23) * (i.shape[2] - 23) for i in pictures.images]).double()
    made = random_patches(pictures, count=3000, size=24, generator=seeded(2))
    expected = 3000 * shares / shares.sum()
    counted = made.labels.bincount(minlength=3).double()
    assert float(((counted - expected) ** 2 / expected).sum()) < 13.8  # 0.999 quantile, two degrees of freedom
    assert made.images.shape == (3000, 3, 24, 24) and made.labels.dtype == torch.int64
    assert made.method == "random_patches" and made.settings == {"count": 3000, "size": 24}


def test_random_patches_depend_on_the_seed_alone(pictures):
    def digest(seed, advance=0):
        generator = seeded(seed)
        torch.rand(advance, generator=generator)
        return random_patches(pictures, count=5, size=32, generator=generator).digest

    before = torch.random.get_rng_state()
    assert digest(4) == digest(4) == digest(4, advance=9) != digest(5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_huge_collections_need_no_list_of_positions():
    """As many positions as DIV2K's 800 pictures have: shared pixels stand for them."""
    image = torch.zeros(3, 1356, 2040, dtype=torch.uint8)
    real = Pictures((image,) * 800, tuple(map(str, range(800))))
    assert len(set(random_patches(real, count=50, size=128, generator=seeded()).labels.tolist())) > 40


@pytest.mark.parametrize("count", [0, -3, 2 * 2 + 1])
def test_impossible_counts_of_random_patches_are_refused(count):
    real = Pictures((torch.zeros(3, 9, 9, dtype=torch.uint8),), ("small",))
    with pytest.raises(SelectionError, match=f"count must be 1 to 4, the positions of 8 px crops in the pictures, got {count}"):
        random_patches(real, count=count, size=8, generator=seeded())


def test_too_small_pictures_and_none_are_refused(pictures):
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px is smaller than the patches of 73 px"):
        random_patches(pictures, count=1, size=73, generator=seeded())
    with pytest.raises(PictureError, match="patch size must be 1 px or more, got 0"):
        random_patches(pictures, count=1, size=0, generator=seeded())
    with pytest.raises(SelectionError, match="count must be 1 to 0"):
        random_patches(Pictures((), ()), count=1, size=8, generator=seeded())


# --- selected patches -----------------------------------------------------------------------------------------


def test_set_takes_its_share_of_every_class(pictures):
    made = selected_patches(pictures, count=22, size=32, selection=replace(CUT, clusters=5), generator=seeded())
    pool = pseudo_labelled_patches(pictures, size=32, selection=replace(CUT, clusters=5), generator=seeded())
    assert made.images.shape == (22, 3, 32, 32) and made.method == "selected_patches"
    assert made.settings["per_class"] == [5, 5, 4, 4, 4] and made.settings["candidates"] == len(pool)
    assert made.settings.items() >= pool.settings.items()
    windows = {key(image): i for i, image in enumerate(pool.images())}
    chosen = [windows[key(image)] for image in made.images]
    assert len(set(chosen)) == 22
    assert pool.label[chosen].tolist() == [0] * 5 + [1] * 5 + [2] * 4 + [3] * 4 + [4] * 4
    assert made.labels.tolist() == pool.picture[chosen].tolist() and made.names == pictures.names


def test_random_choice_reaches_every_candidate(pictures):
    pool = candidate_patches(pictures, size=32, selection=CUT)
    everything = selected_patches(pictures, count=len(pool), size=32, selection=replace(CUT, clusters=1), generator=seeded())
    assert sorted(map(key, everything.images)) == sorted(map(key, pool.images()))
    assert not torch.equal(everything.images, pool.images())


def test_one_cluster_needs_no_features(pictures):
    def never(images):
        raise AssertionError("features were computed")

    selection = replace(CUT, clusters=1, features=never)
    made = selected_patches(pictures, count=6, size=32, selection=selection, generator=seeded())
    assert made.settings["per_class"] == [6] and "features" not in made.settings


def test_selected_patches_depend_on_the_seed_alone(pictures):
    def digest(seed, advance=0):
        generator = seeded(seed)
        torch.rand(advance, generator=generator)
        selection = replace(CUT, clusters=3)
        return selected_patches(pictures, count=8, size=32, selection=selection, generator=generator).digest

    before = torch.random.get_rng_state()
    assert digest(4) == digest(4) == digest(4, advance=9) != digest(5)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("count", "available", "shares"),
    [
        (7, [9, 9, 9], [3, 2, 2]),
        (6, [9, 9, 9], [2, 2, 2]),
        (9, [1, 9, 9], [1, 4, 4]),
        (10, [1, 9, 2], [1, 7, 2]),
        (0, [1], [0]),
        (3, [0, 3], [0, 3]),
    ],
)
def test_shares_are_as_even_as_the_classes_allow(count, available, shares):
    assert even_shares(count, available) == shares


def test_impossible_demands_are_refused(pictures):
    available = len(candidate_patches(pictures, size=32, selection=CUT))
    for count in (0, available + 1):
        with pytest.raises(SelectionError, match=f"count must be 1 to {available}, the candidates there are, got {count}"):
            selected_patches(pictures, count=count, size=32, selection=replace(CUT, clusters=1), generator=seeded())
