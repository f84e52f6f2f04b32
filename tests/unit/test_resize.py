"""MATLAB-style bicubic resizing against three independent implementations."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from srdistill.images.crops import d4
from srdistill.images.pictures import to_float
from srdistill.images.resize import ScaleError, bicubic_matrix, downscale, resize, upscale

SIZES = [(24, 12), (24, 8), (24, 6), (24, 48), (24, 17), (13, 5), (13, 31), (7, 7), (3, 1), (1, 4), (5, 2)]


def keys_cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x <= 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0


def imresize_line(line: list[float], size: int) -> list[float]:
    """One axis of MATLAB's imresize(..., "bicubic"), one output pixel at a time, with MATLAB's indices from 1."""
    n = len(line)
    scale = size / n
    shrink = min(scale, 1.0)
    width = 4 / shrink
    mirror = list(range(1, n + 1)) + list(range(n, 0, -1))
    out = []
    for x in range(1, size + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - width / 2)
        indices = range(left, left + math.ceil(width) + 2)
        weights = [shrink * keys_cubic(shrink * (u - i)) for i in indices]
        total = sum(weights)
        out.append(sum(w / total * line[mirror[(i - 1) % (2 * n)] - 1] for w, i in zip(weights, indices, strict=True)))
    return out


def imresize(plane: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    columns = [imresize_line(column, size[0]) for column in plane.T.tolist()]
    rows = [imresize_line(list(row), size[1]) for row in zip(*columns, strict=True)]
    return torch.tensor(rows, dtype=torch.float64)


def random(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("size_in", "size_out"), SIZES)
def test_weights_of_each_output_pixel_sum_to_one(size_in, size_out):
    matrix = bicubic_matrix(size_in, size_out)
    assert matrix.shape == (size_out, size_in) and matrix.dtype == torch.float64
    assert torch.allclose(matrix.sum(1), torch.ones(size_out, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [(8, 12), (6, 8), (5, 7), (9, 11), (32, 48), (23, 24), (16, 12), (2, 1)])
def test_agrees_with_a_pixel_by_pixel_imresize_up_to_the_borders(size):
    plane = random(16, 24)
    assert torch.allclose(resize(plane, size), imresize(plane, size), atol=1e-10, rtol=0)


def test_axis_that_keeps_its_size_is_left_alone():
    plane = random(9, 12)
    assert torch.allclose(resize(plane, (9, 12)), plane, atol=1e-14, rtol=0)


def test_halving_has_the_weights_of_the_definition():
    inner = bicubic_matrix(32, 16)[8]
    expected = [-3 / 256, -9 / 256, 29 / 256, 111 / 256, 111 / 256, 29 / 256, -9 / 256, -3 / 256]
    assert torch.allclose(inner[13:21], torch.tensor(expected, dtype=torch.float64), atol=1e-14, rtol=0)
    assert inner[:13].abs().max() == 0 and inner[21:].abs().max() == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_agrees_with_torch_inside_a_real_picture(pictures, scale):
    image = to_float(pictures.images[0])[None]
    ours = downscale(image, scale)
    theirs = F.interpolate(image, size=ours.shape[-2:], mode="bicubic", antialias=True, align_corners=False)
    assert torch.allclose(ours[..., 3:-3, 3:-3], theirs[..., 3:-3, 3:-3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_agrees_with_pillow_inside_a_real_picture(pictures, scale):
    plane = pictures.images[0][1].to(torch.float32)
    ours = downscale(plane, scale)
    image = Image.fromarray(plane.numpy())
    assert image.mode == "F"
    theirs = torch.from_numpy(np.array(image.resize((plane.shape[1] // scale, plane.shape[0] // scale), Image.BICUBIC)))
    assert torch.allclose(ours[3:-3, 3:-3], theirs[3:-3, 3:-3], atol=1e-3, rtol=0)


def test_borders_are_mirrored_unlike_torch_and_pillow(pictures):
    image = to_float(pictures.images[0])[None]
    theirs = F.interpolate(image, scale_factor=0.5, mode="bicubic", antialias=True, align_corners=False)
    assert (downscale(image, 2) - theirs)[..., 0, :].abs().max() > 1e-3


def test_enlarging_uses_the_matlab_kernel_not_torchs(pictures):
    image = to_float(pictures.images[1])[None]
    theirs = F.interpolate(image, scale_factor=2, mode="bicubic", align_corners=False)
    assert 1e-3 < (upscale(image, 2) - theirs)[..., 6:-6, 6:-6].abs().max() < 0.2


@pytest.mark.parametrize("shape", [(12, 18), (3, 12, 18), (2, 3, 12, 18), (2, 2, 3, 12, 18)])
def test_leading_axes_are_batched(shape):
    images = random(*shape)
    out = downscale(images, 3)
    assert out.shape == (*shape[:-2], 4, 6)
    flat = images.reshape(-1, 12, 18)
    each = torch.stack([downscale(plane, 3) for plane in flat]).reshape(out.shape)
    assert torch.allclose(out, each, atol=1e-14, rtol=0)


@pytest.mark.parametrize("size", [(6, 4), (16, 20), (5, 9)])
def test_gradient_is_the_exact_adjoint(size):
    x = random(2, 12, 8).requires_grad_()
    y = random(2, *size, seed=1)
    (gradient,) = torch.autograd.grad((resize(x, size) * y).sum(), x)
    adjoint = bicubic_matrix(12, size[0]).T @ y @ bicubic_matrix(8, size[1])
    assert torch.allclose(gradient, adjoint, atol=1e-13, rtol=0)


def test_derivatives_of_first_and_second_order_are_right():
    x = random(1, 6, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: downscale(x, 2), x)
    assert torch.autograd.gradgradcheck(lambda x: downscale(x, 2) ** 3, x)


@pytest.mark.parametrize("element", range(8))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_commutes_with_flips_and_turns(element, scale):
    image = random(3, 24, 36)
    assert torch.allclose(downscale(d4(image, element), scale), d4(downscale(image, scale), element), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("scale", "shape"), [(3, (32, 33)), (4, (32, 34)), (2, (31, 32)), (0, (8, 8))])
def test_scale_that_does_not_divide_is_refused_with_the_sizes(scale, shape):
    with pytest.raises(ScaleError, match=f"scale {scale} does not divide {shape[0]} x {shape[1]} px"):
        downscale(torch.zeros(1, 3, *shape), scale)


def test_no_pixels_at_all_are_refused():
    with pytest.raises(ScaleError, match="8 px to 0 px"):
        resize(torch.zeros(8, 8), (0, 4))


def test_type_of_the_input_is_kept():
    assert downscale(torch.zeros(4, 4), 2).dtype == torch.float32
    assert downscale(random(4, 4), 2).dtype == torch.float64


def test_matrices_first_made_in_inference_mode_serve_training_too():
    with torch.inference_mode():
        downscale(torch.rand(1, 3, 62, 62), 2)
    x = torch.rand(1, 3, 62, 62, requires_grad=True)
    downscale(x, 2).sum().backward()
    assert x.grad.sum() == pytest.approx(3 * 31 * 31, rel=1e-4)


def test_matrices_first_made_inside_a_function_transform_serve_outside_too():
    torch.func.grad(lambda x: downscale(x, 2).sum())(torch.rand(1, 3, 58, 58))
    x = torch.rand(1, 3, 58, 58, requires_grad=True)
    downscale(x, 2).sum().backward()
    assert x.grad.sum() == pytest.approx(3 * 29 * 29, rel=1e-4)


def test_matrices_first_made_under_another_default_device_serve_the_cpu_too():
    with torch.device("meta"):
        downscale(torch.rand(1, 3, 54, 54), 2)
    assert torch.isfinite(downscale(torch.rand(1, 3, 54, 54), 2)).all()
