"""Scores of all windows through an integral image against window by window."""

import pytest
import torch

from srdistill.catalogue.photos import photos
from srdistill.images.pictures import to_float
from srdistill.images.subimages import window_starts
from srdistill.measures.detail import restored
from srdistill.measures.metrics import psnr
from srdistill.measures.patch_scores import window_scores

SIZE, STRIDE = 128, 8


@pytest.mark.parametrize("way", ["metric", "mean"])
def test_scores_of_all_windows(ratio, way):
    """One photograph of 512 x 512 px, 2401 windows; both scale the picture down and up once.

    The plain loop calls the project's PSNR for each window, or, as fast as a loop gets, takes the mean of a slice of
    squared errors that are there already.
    """
    image = dict(photos("train"))["astronaut"]
    starts = window_starts(512, SIZE, STRIDE)

    def plain():
        back, found = restored(image, 4), []
        squares = (to_float(image) - to_float(back)).square()
        for y in starts:
            for x in starts:
                window = (slice(None), slice(y, y + SIZE), slice(x, x + SIZE))
                if way == "metric":
                    found.append(psnr(back[window][None], image[window][None])[0])
                else:
                    found.append(-10 * squares[window].mean().log10())
        return torch.stack(found).view(len(starts), -1)

    def ours():
        return window_scores(image, SIZE, starts, starts)

    assert (plain() - ours()).abs().max() < 1e-4
    ratio(plain, ours, rounds=9)
