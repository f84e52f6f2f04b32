"""The mild unsharp mask: its gain at every frequency, and what it leaves alone."""

import math

import pytest
import torch

from srdistill.images.pictures import PictureError, to_float
from srdistill.images.unsharp import unsharp


def test_equals_a_convolution_with_mirrored_borders(pictures):
    image = to_float(pictures.images[0])[None].double()
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    kernel = (taps[:, None] * taps).expand(3, 1, 3, 3)
    padded = torch.nn.functional.pad(image, [1] * 4, mode="replicate")
    expected = image + 0.7 * (image - torch.nn.functional.conv2d(padded, kernel, groups=3))
    assert torch.allclose(unsharp(image, 0.7), expected, atol=1e-12)


@pytest.mark.parametrize("cycles", [0.0, 0.125, 0.25, 0.5])
def test_gain_of_a_wave(cycles):
    wave = torch.cos(2 * math.pi * cycles * torch.arange(64, dtype=torch.float64)).expand(1, 3, 64, 64)
    gain = 1 + 0.5 * (0.5 - 0.5 * math.cos(2 * math.pi * cycles))
    assert torch.allclose(unsharp(wave, 0.5)[..., 2:-2], gain * wave[..., 2:-2], atol=1e-12)


def test_no_amount_is_the_identity(pictures):
    image = to_float(pictures.images[0])[None]
    assert unsharp(image, 0.0) is image


@pytest.mark.parametrize("amount", [-0.1, float("nan")])
def test_a_negative_amount_is_refused(amount):
    with pytest.raises(PictureError, match="an amount of 0 or more"):
        unsharp(torch.zeros(1, 3, 8, 8), amount)
