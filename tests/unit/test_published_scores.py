"""Scores of patches as in the authors' code: the weights written out, Pillow's grey, and what a selection makes of them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from srdistill.images.pictures import read_folder
from srdistill.measures.patch_scores import score_windows, window_scores
from srdistill.papers.labelfree.patch_pool import candidate_patches
from srdistill.papers.labelfree.published_scores import grey, published_scores
from srdistill.papers.labelfree.selection import Selection
from srdistill.sets.distilled_set import SelectionError


def along_rows(values, count):
    """OpenCV's INTER_CUBIC of the rows of (n, m): a = -0.75, centres at halves, borders repeated, no antialiasing."""
    size, found = len(values), []
    for place in range(count):
        at = (place + 0.5) * size / count - 0.5
        near, total = math.floor(at), np.zeros_like(values[0])
        for tap in range(near - 1, near + 3):
            x, a = abs(at - tap), -0.75
            weight = (a + 2) * x**3 - (a + 3) * x**2 + 1 if x <= 1 else a * (x**3 - 5 * x**2 + 8 * x - 4)
            total = total + weight * values[min(max(tap, 0), size - 1)]
        found.append(total)
    return np.stack(found)


def plain_score(window):
    """``uint8`` (3, n, n), by way of Pillow's grey."""
    patch = np.array(Image.fromarray(window.permute(1, 2, 0).numpy()).convert("L")).astype(np.float64)
    small = along_rows(along_rows(patch, len(patch) // 4).T, len(patch) // 4).T
    back = along_rows(along_rows(small, len(patch)).T, len(patch)).T
    return 10 * math.log10(255**2 / np.square(patch - back).mean())


def test_grey_is_pillows(pictures):
    image = pictures.images[0]
    expected = np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
    assert torch.equal(grey(image), torch.from_numpy(expected)[None])


def test_scores_are_those_of_a_loop(pictures):
    image, tops, lefts = pictures.images[0], (0, 16, 40), (8, 60)
    found = published_scores(image, 32, tops, lefts)
    assert found.dtype == torch.float64 and found.shape == (3, 2)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            expected = plain_score(image[:, top : top + 32, left : left + 32])
            assert float(found[row, column]) == pytest.approx(expected, abs=1e-3)


def test_a_flat_window_has_no_error():
    assert published_scores(torch.full((3, 40, 40), 7, dtype=torch.uint8), 32, [0], [0, 8]).isinf().all()


def test_23_db_is_the_median_of_real_windows_in_this_measure(shared_data):
    pictures = read_folder(shared_data / "bsds200")
    median, share = {}, {}
    for measure in (window_scores, published_scores):
        scores = score_windows(pictures, 256, 128, measure=measure)[1]
        median[measure], share[measure] = float(scores.median()), float((scores < 23).double().mean())
    assert median[published_scores] == pytest.approx(23.13, abs=0.02)
    assert median[window_scores] == pytest.approx(24.61, abs=0.02)
    assert share[published_scores] == pytest.approx(0.485, abs=0.003)
    assert share[window_scores] == pytest.approx(0.324, abs=0.003)


def test_a_selection_asks_for_them(pictures):
    settings = {"stride": 16, "quantile": 0.3}
    field, code = (
        candidate_patches(pictures, size=32, selection=Selection(measure=measure, **settings))
        for measure in ("antialiased", "published")
    )
    assert field.settings["measure"] == "antialiased" and code.settings["measure"] == "published"
    assert not torch.equal(field.score, code.score)
    for picture, top, left, score in zip(code.picture, code.top, code.left, code.score, strict=True):
        window = pictures.images[picture][:, top : top + 32, left : left + 32]
        assert float(score) == pytest.approx(plain_score(window), abs=1e-3)
    with pytest.raises(SelectionError, match="unknown measure 'grey' of windows; there are: antialiased, published"):
        Selection(measure="grey")


def test_without_the_border_windows_lie_on_the_grid_alone(pictures):
    pools = [
        candidate_patches(pictures, size=32, selection=Selection(stride=20, quantile=1.0, border=border))
        for border in (True, False)
    ]
    corners = [set(zip(*(column.tolist() for column in (pool.picture, pool.top, pool.left)), strict=True)) for pool in pools]
    assert corners[1] == {(p, y, x) for p, y, x in corners[0] if y % 20 == x % 20 == 0} and len(corners[1]) < len(corners[0])
    assert pools[1].settings["windows"] == len(pools[1]) and pools[1].settings["border"] is False
