"""MATLAB-style antialiased bicubic resizing as two small matrix products.

``y = A_h @ x @ A_w.T``: differentiable, batched, any size; the matrices depend on the sizes alone and are kept.
It follows the definition of MATLAB's ``imresize``: cubic kernel with a = -0.5, stretched by 1/scale when shrinking,
pixel centres at half integers, mirrored borders, weights that sum to one. That is the resizing that the
super-resolution field makes its LR pictures with.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor


class ScaleError(ValueError):
    """A scale or size that does not fit the picture."""


def _cubic(x: Tensor, a: float = -0.5) -> Tensor:
    """Keys' cubic convolution kernel."""
    x = x.abs()
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


@lru_cache(maxsize=512)
def bicubic_matrix(size_in: int, size_out: int) -> Tensor:
    """The (size_out, size_in) float64 matrix that resizes one axis. Raises ScaleError: a size below 1 px."""
    if size_in < 1 or size_out < 1:
        raise ScaleError(f"cannot resize {size_in} px to {size_out} px: sizes are 1 px or more")
    scale = size_out / size_in
    stretch = min(1.0, scale)
    support = 4.0 / stretch
    taps = math.ceil(support) + 2
    # What is kept must be an ordinary tensor, also when the first caller runs in inference mode or on another device.
    with torch.inference_mode(False), torch.device("cpu"):
        centers = (torch.arange(size_out, dtype=torch.float64) + 0.5) / scale - 0.5
        first = torch.floor(centers - support / 2)
        positions = first[:, None] + torch.arange(taps, dtype=torch.float64)
        weights = stretch * _cubic(stretch * (centers[:, None] - positions))
        weights = weights / weights.sum(1, keepdim=True)
        # Mirror with the edge pixel repeated: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
        wrapped = positions.long() % (2 * size_in)
        columns = torch.minimum(wrapped, 2 * size_in - 1 - wrapped)
        return torch.zeros(size_out, size_in, dtype=torch.float64).scatter_add_(1, columns, weights)


@lru_cache(maxsize=512)
def _matrix(size_in: int, size_out: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return bicubic_matrix(size_in, size_out).to(device=device, dtype=dtype)


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize float images (..., H, W) to ``size`` = (height, width) in px; not clamped, differentiable."""
    height, width = size
    rows = _matrix(images.shape[-2], height, images.dtype, images.device)
    columns = _matrix(images.shape[-1], width, images.dtype, images.device)
    return rows @ images @ columns.T


def downscale(images: Tensor, scale: int) -> Tensor:
    """Shrink float images (..., H, W) by an integer ``scale``; differentiable.

    Raises:
        ScaleError: ``scale`` does not divide the size; crop first (``mod_crop``).
    """
    height, width = images.shape[-2:]
    if scale < 1 or height % scale or width % scale:
        raise ScaleError(
            f"scale {scale} does not divide {height} x {width} px; crop to a multiple first (images.convention.mod_crop)"
        )
    return resize(images, (height // scale, width // scale))


def upscale(images: Tensor, scale: int) -> Tensor:
    """Enlarge float images (..., H, W) by an integer ``scale``; differentiable."""
    return resize(images, (images.shape[-2] * scale, images.shape[-1] * scale))
