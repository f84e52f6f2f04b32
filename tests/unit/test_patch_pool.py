"""Candidates: below a threshold or a quantile, never overlapping more than asked for; kept in a file without their pixels."""

import json
import math
import os
from dataclasses import replace

import pytest
import torch

from srdistill.files import write_tensors
from srdistill.images.pictures import PictureError
from srdistill.measures.patch_scores import score_windows
from srdistill.papers.labelfree.candidates import candidates
from srdistill.papers.labelfree.patch_pool import PatchPool, candidate_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.sets.distilled_set import SelectionError


@pytest.fixture(scope="module")
def scored(pictures):
    return score_windows(pictures, 32, 8)


def shared_area(pool, i, j):
    """How many pixels two windows share, counted one axis at a time as sets."""
    if pool.picture[i] != pool.picture[j]:
        return 0
    sides = []
    for axis in (pool.top, pool.left):
        a, b = (set(range(int(axis[k]), int(axis[k]) + pool.size)) for k in (i, j))
        sides.append(len(a & b))
    return sides[0] * sides[1]


def test_threshold_keeps_what_lies_below(pictures, scored):
    windows, scores = scored
    pool = candidate_patches(pictures, size=32, selection=Selection(stride=8, threshold=24.0))
    expected = [i for i, score in enumerate(scores.tolist()) if score < 24.0]
    assert 0 < len(expected) < len(scores)
    assert torch.equal(pool.score, scores[expected]) and torch.equal(pool.picture, windows.labels[expected])
    assert torch.equal(pool.top, windows.top[expected]) and torch.equal(pool.left, windows.left[expected])
    assert pool.settings["limit"] == 24.0 and pool.settings["windows"] == len(scores)
    assert pool.classes == 1 and pool.label.tolist() == [0] * len(pool) and pool.distance.isnan().all()


@pytest.mark.parametrize("quantile", [0.001, 0.25, 0.5, 0.999, 1.0])
def test_quantile_keeps_the_lowest_share(scored, quantile):
    windows, scores = scored
    chosen, limit = candidates(windows, scores, Selection(quantile=quantile, threshold=-100))
    assert len(chosen) == math.ceil(quantile * len(scores))
    assert sorted(chosen.tolist()) == sorted(sorted(range(len(scores)), key=scores.tolist().__getitem__)[: len(chosen)])
    assert limit == float(scores[chosen].max())


def test_ties_and_perfect_windows_are_kept_together(scored):
    windows, scores = scored
    scores = torch.full_like(scores, math.inf)
    scores[:3] = 20.0
    assert candidates(windows, scores, Selection(quantile=1 / len(scores)))[0].tolist() == [0, 1, 2]
    assert len(candidates(windows, scores, Selection(quantile=1.0))[0]) == len(scores)
    assert candidates(windows, scores)[0].tolist() == [0, 1, 2]


def test_settings_are_json_even_without_a_limit(pictures):
    flat = type(pictures)((torch.full((3, 40, 40), 9, dtype=torch.uint8),), ("flat",))
    pool = candidate_patches(flat, size=32, selection=Selection(stride=8, quantile=1.0))
    assert len(pool) == 4 and pool.settings["limit"] is None
    json.dumps(pool.settings, allow_nan=False)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
def test_overlap_is_bounded_and_nothing_else_could_be_added(pictures, overlap):
    everything = candidate_patches(pictures, size=32, selection=Selection(stride=5, quantile=0.3))
    pool = candidate_patches(pictures, size=32, selection=Selection(stride=5, quantile=0.3, overlap=overlap))
    most = overlap * 32 * 32
    # The plain way: from the lowest score up, keep what is compatible with all that was kept.
    kept = []
    for i in everything.score.argsort(stable=True).tolist():
        if all(shared_area(everything, i, j) <= most for j in kept):
            kept.append(i)
    kept.sort()
    assert 1 < len(kept) < len(everything)
    for name in ("picture", "top", "left", "score"):
        assert torch.equal(getattr(pool, name), getattr(everything, name)[kept])


def test_full_overlap_is_off(pictures):
    chosen = (Selection(stride=8, quantile=0.5, overlap=1.0), Selection(stride=8, quantile=0.5))
    loose, off = (candidate_patches(pictures, size=32, selection=selection) for selection in chosen)
    assert torch.equal(loose.score, off.score) and torch.equal(loose.top, off.top)


def test_images_are_the_pixels_of_the_windows(pictures):
    pool = candidate_patches(pictures, size=32, selection=Selection(stride=8, quantile=0.3))
    images = pool.images()
    assert images.shape == (len(pool), 3, 32, 32) and images.dtype == torch.uint8
    for image, picture, y, x in zip(images, pool.picture.tolist(), pool.top.tolist(), pool.left.tolist(), strict=True):
        assert torch.equal(image, pictures.images[picture][:, y : y + 32, x : x + 32])
    last = len(pool) - 1
    assert torch.equal(pool.images([last, 0, last]), images[[last, 0, last]])
    assert torch.equal(pool.images(torch.tensor([2])), images[2:3])
    assert torch.equal(pool.images(pool.picture == 1), images[(pool.picture == 1).nonzero().flatten()])
    assert pool.images([]).shape == (0, 3, 32, 32)
    before = pictures.images[int(pool.picture[0])].clone()
    pool.images([0]).zero_()
    assert torch.equal(pictures.images[int(pool.picture[0])], before)


def test_threshold_that_selects_nothing_names_the_lowest_score(pictures, scored):
    windows, scores = scored
    lowest = int(scores.argmin())
    name = pictures.names[int(windows.labels[lowest])]
    with pytest.raises(SelectionError) as error:
        candidate_patches(pictures, size=32, selection=Selection(stride=8, threshold=5.0))
    assert str(error.value) == (
        f"none of {len(scores)} windows of 32 px scores below 5 dB; the lowest is {float(scores[lowest]):.2f} dB in {name}; "
        "raise threshold above that, or give a quantile instead"
    )


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.01, math.nan])
def test_impossible_quantiles_are_refused(quantile):
    with pytest.raises(SelectionError, match=r"quantile must lie in \(0, 1\], got"):
        Selection(quantile=quantile)


@pytest.mark.parametrize("overlap", [-0.1, 1.5, math.nan])
def test_impossible_overlaps_are_refused(overlap):
    with pytest.raises(SelectionError, match=r"overlap must lie in \[0, 1\], got"):
        Selection(overlap=overlap)


def test_picture_smaller_than_the_patch_is_named(pictures):
    with pytest.raises(PictureError, match="motorcycle_left: 104 x 72 px .*leave it out"):
        candidate_patches(pictures, size=80)


# --- in a file --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool(pictures):
    """With three pseudo-classes, dealt out in turn."""
    found = candidate_patches(pictures, size=32, selection=Selection(stride=8, quantile=0.3))
    distance = torch.rand(len(found), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return replace(found, label=torch.arange(len(found)) % 3, distance=distance, classes=3)


def test_a_pool_comes_back_from_its_file(pool, pictures, tmp_path):
    path = tmp_path / "deep" / "pool.safetensors"
    pool.save(path)
    assert os.listdir(path.parent) == [path.name] and path.stat().st_size < 10_000
    # The same pixels read anew will do.
    again = type(pictures)(tuple(image.clone() for image in pictures.images), pictures.names, "elsewhere")
    found = PatchPool.load(path, again)
    for name in ("picture", "top", "left", "score", "label", "distance"):
        assert torch.equal(getattr(found, name), getattr(pool, name))
    assert (found.size, found.classes, found.settings) == (pool.size, pool.classes, pool.settings)
    assert found.pictures is again and torch.equal(found.images(), pool.images())


def test_distances_of_a_pool_without_classes_stay_nan(pictures, tmp_path):
    pool = candidate_patches(pictures, size=32, selection=Selection(stride=8, quantile=0.3))
    pool.save(tmp_path / "pool")
    assert PatchPool.load(tmp_path / "pool", pictures).distance.isnan().all()


def test_a_pool_of_other_pictures_is_refused(pool, pictures, tmp_path):
    pool.save(tmp_path / "pool")
    images = [image.clone() for image in pictures.images]
    images[1][0, 5, 5] ^= 1
    for other in (type(pictures)(tuple(images), pictures.names, "mine"), pictures.at_least(80)):
        with pytest.raises(SelectionError, match=f"cut from other pictures .{pictures.digest[:8]}. than these .* select"):
            PatchPool.load(tmp_path / "pool", other)


def test_a_damaged_file_is_refused(pool, pictures, tmp_path):
    path = tmp_path / "pool"
    pool.save(path)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:99], b"", b"text", whole.replace(b"patch_pool", b"patch_hole")):
        path.write_bytes(content)
        with pytest.raises(SelectionError, match="pool: not a pool of patches, or damaged .*; select the patches again"):
            PatchPool.load(path, pictures)
    first = {name: getattr(pool, name)[:1] for name in ("picture", "top", "left", "score", "label", "distance")}
    about = {"size": 32, "classes": 3, "settings": {}, "pictures": pictures.digest}
    # A whole file whose values mean nothing: outside of its picture or its classes, of another type, too many.
    bad = [first | {name: column} for name in first for column in map(torch.tensor, ([-1], [999], [3.0], [1, 2]))]
    for tensors in ({"picture": first["picture"]}, *bad):
        write_tensors(path, "patch_pool", tensors, about)
        with pytest.raises(SelectionError, match="pool: not a pool of patches, or damaged"):
            PatchPool.load(path, pictures)


def test_pixels_with_labels(pool):
    images, labels = pool.labelled()
    assert torch.equal(images, pool.images()) and torch.equal(labels, pool.label)


def test_selections_are_compared_by_value():
    assert Selection(quantile=0.5) == Selection(quantile=0.5) != Selection() and hash(Selection()) == hash(Selection())
    for given in ({"clusters": 0}, {"n_init": 0}):
        with pytest.raises(SelectionError, match="clusters and n_init must be 1 or more"):
            Selection(**given)
