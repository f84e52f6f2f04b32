"""Hard windows: those that bicubic restores worst, as pictures and as the data of a row."""

import pytest
import torch

from srdistill.images.pictures import PictureError
from srdistill.measures.detail import restored
from srdistill.networks import build_network
from srdistill.papers.beyond.selecting.hard_windows import hard_collection, hard_data, hard_windows
from srdistill.sets.distilled_set import SelectionError
from srdistill.study.engine.tasks import Resource
from srdistill.study.pictures import cut_collection
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train


def plain(pictures, size, scale):
    """All windows by error, hardest first: (error, name, window)."""
    found = []
    for name, image in pictures:
        image = image[:, : image.shape[1] // scale * scale, : image.shape[2] // scale * scale]
        error = (image.int() - restored(image, scale).int()).square().sum(0)
        starts = [sorted({*range(0, side - size + 1, size // 2), side - size}) for side in image.shape[1:]]
        for top in starts[0]:
            for left in starts[1]:
                square = (slice(top, top + size), slice(left, left + size))
                found.append((int(error[square].sum()), f"{name} at {top}, {left}", image[(slice(None), *square)]))
    return sorted(found, key=lambda line: -line[0])


@pytest.mark.parametrize(("share", "scale"), [(0.1, 2), (0.3, 4), (1.0, 2)])
def test_the_hardest_come_first(pictures, share, scale):
    expected = plain(pictures, 32, scale)
    made = hard_windows(pictures, share=share, size=32, scale=scale)
    count = round(share * len(expected))
    assert len(made) == count and made.names == tuple(name for _, name, _ in expected[:count])
    assert all(torch.equal(ours, theirs) for ours, (_, _, theirs) in zip(made.images, expected, strict=False))


def test_one_window_is_the_least(pictures):
    assert len(hard_windows(pictures, share=1e-6, size=32)) == 1


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_that_is_none_is_refused(pictures, share):
    with pytest.raises(SelectionError, match=f"above 0 and at most 1, got {share}"):
        hard_windows(pictures, share=share, size=32)


@pytest.mark.parametrize(("size", "scale"), [(30, 4), (2, 2), (28, 8)])
def test_windows_that_do_not_suit_the_scale_are_refused(pictures, size, scale):
    with pytest.raises(SelectionError, match=f"use a multiple of {2 * scale}"):
        hard_windows(pictures, share=0.1, size=size, scale=scale)


def test_pictures_below_a_window_are_refused(pictures):
    with pytest.raises(PictureError, match="88"):
        hard_windows(pictures, share=0.1, size=88)


def test_a_collection_may_be_taken_at_several_scales():
    given = {"split": "train", "side": 128, "least": 0, "share": 0.5, "size": 64, "scale": 2}
    one, many = (hard_collection("photos", scales=scales, **given) for scales in ((), (0.5,)))
    assert len(one) == round(0.5 * 7 * 9) and len(many) == round(0.5 * 7 * 10)
    assert any("at 0.5 at" in name for name in many.names) and not any("at 0.5" in name for name in one.names)


def test_a_studys_pictures_become_a_resource_of_their_own():
    real = Resource(cut_collection, {"collection": "photos", "split": "train", "side": 64, "least": 48}, hashed=True)
    hard = hard_data(real, share=0.5, size=32, scale=2, scales=(0.75,))
    assert hard.load().digest == hard.digest != real.digest
    assert hard.loader.needs(**hard.settings) == []
    other = Resource(lambda: None, {})
    assert hard_data(other, share=0.5, size=32, scale=2) is other


def test_a_row_may_be_trained_on_them():
    real = Resource(cut_collection, {"collection": "photos", "split": "train", "side": 64, "least": 48}, hashed=True)
    made = hard_data(real, share=0.25, size=32, scale=2).load()
    recipe = Recipe(2, batch=2, patch=16)
    network, losses = train(build_network("EDSR", 2, 0, width=4, depth=1), made.images, recipe, scale=2, seed=0)
    assert len(losses) == 1 and not network.training
