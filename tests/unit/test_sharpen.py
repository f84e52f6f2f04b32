"""Unsharp masking against a plain implementation."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from srdistill.images.pictures import PictureError
from srdistill.images.sharpen import sharpen


def plain(image):
    """Channel by channel, in float64."""
    taps = np.exp(-((np.arange(51) - 25.0) ** 2) / (2 * 8.0**2))
    taps /= taps.sum()

    def blur(values):
        return correlate1d(correlate1d(values, taps, axis=0, mode="mirror"), taps, axis=1, mode="mirror")

    result = []
    for channel in image.numpy() / 255.0:
        detail = channel - blur(channel)
        where = blur((np.abs(detail) * 255 > 10).astype(float))
        sharp = np.clip(channel + 0.5 * detail, 0, 1)
        result.append(where * sharp + (1 - where) * channel)
    return np.stack(result) * 255


def test_equals_the_plain_way(pictures):
    for image in pictures.images:
        difference = np.abs(sharpen(image).numpy() - plain(image))
        assert difference.max() < 0.51
        assert (sharpen(image) != image).float().mean() > 0.3


def test_flat_pictures_stay():
    flat = torch.full((3, 40, 30), 77, dtype=torch.uint8)
    assert torch.equal(sharpen(flat), flat)


def test_too_small_a_picture_is_refused():
    with pytest.raises(PictureError, match="25 x 60 px is too small to sharpen; use pictures of 26 px or more"):
        sharpen(torch.zeros(3, 25, 60, dtype=torch.uint8))
