"""Lanczos and bicubic without antialiasing against Pillow, torch and a loop; bicubic against the convention's."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from srdistill.images.pictures import to_float
from srdistill.images.resize import ScaleError, resize
from srdistill.images.shrinking import ALIASED, BICUBIC, KERNELS, LANCZOS, shrink, shrinking_matrix


def lanczos_line(line, size):
    """One axis, one output pixel at a time."""
    n, ratio = len(line), len(line) / size
    out = []
    for x in range(size):
        center = (x + 0.5) * ratio - 0.5
        total = value = 0.0
        for i in range(math.ceil(center - 3 * ratio), math.floor(center + 3 * ratio) + 1):
            t = (i - center) / ratio
            weight = np.sinc(t) * np.sinc(t / 3) if abs(t) < 3 else 0.0
            mirrored = i % (2 * n)
            value += weight * line[min(mirrored, 2 * n - 1 - mirrored)]
            total += weight
        out.append(value / total)
    return out


def test_bicubic_is_the_conventions_bit_for_bit(pictures):
    image = to_float(pictures.images[0])
    assert torch.equal(shrink(image, (37, 41)), resize(image, (37, 41)))


@pytest.mark.parametrize(("size_in", "size_out"), [(24, 12), (24, 7), (13, 13), (9, 2), (3, 1)])
def test_lanczos_equals_a_loop(size_in, size_out):
    line = torch.rand(size_in, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = shrinking_matrix(size_in, size_out, LANCZOS) @ line
    assert torch.allclose(ours, torch.tensor(lanczos_line(line.tolist(), size_out), dtype=torch.float64), atol=1e-12, rtol=0)


def test_lanczos_agrees_with_pillow_inside_a_picture(pictures):
    plane = pictures.images[0][1].float()
    ours = shrink(plane[None], (48, 60), LANCZOS)[0]
    theirs = torch.from_numpy(np.array(Image.fromarray(plane.numpy()).resize((60, 48), Image.LANCZOS)))
    assert torch.allclose(ours[4:-4, 4:-4], theirs[4:-4, 4:-4], atol=1e-3, rtol=0)


def test_without_antialiasing_every_pixel_is_made_of_its_four_neighbours(pictures):
    matrix = shrinking_matrix(40, 10, ALIASED)
    assert (matrix.abs() > 1e-12).sum(1).max() <= 4
    assert matrix[5, 20:24].tolist() == pytest.approx([-0.0625, 0.5625, 0.5625, -0.0625])  # Keys' kernel, half-way
    image = to_float(pictures.images[0])[None]
    theirs = F.interpolate(image, scale_factor=0.5, mode="bicubic", align_corners=False)  # a = -0.75
    assert (shrink(image, (48, 60), ALIASED) - theirs)[..., 2:-2, 2:-2].abs().max() < 0.1


def test_what_a_small_picture_cannot_hold_comes_back_only_without_antialiasing():
    wave = 0.5 + 0.4 * torch.cos(2 * math.pi * 0.43 * torch.arange(120)).expand(1, 3, 120, 120)
    left = {kernel: shrink(wave, (40, 40), kernel)[..., 4:-4, 4:-4].std().item() for kernel in KERNELS}
    assert left[BICUBIC] < 0.03 and left[LANCZOS] < 0.03 and left[ALIASED] > 0.15


@pytest.mark.parametrize("kernel", KERNELS)
def test_flat_pictures_stay_flat(kernel):
    assert torch.allclose(shrink(torch.full((3, 31, 47), 0.3), (10, 22), kernel), torch.tensor(0.3), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_would_grow_is_refused(kernel):
    with pytest.raises(ScaleError, match="cannot shrink"):
        shrink(torch.zeros(3, 8, 8), (8, 9), kernel)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="unknown kernel 'box'; there are: bicubic, lanczos, bicubic without antialiasing"):
        shrink(torch.zeros(3, 8, 8), (4, 4), "box")
