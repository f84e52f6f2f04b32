"""Shrinking with other kernels than the convention's: Lanczos-3, and bicubic that is not stretched.

Two matrix products as in ``resize``, which is antialiased bicubic: pixel centres at half integers, mirrored borders, weights
that sum to one. LR pictures are always made with that; this is for pictures to train on.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from srdistill.images.resize import ScaleError, resize

BICUBIC, LANCZOS, ALIASED = "bicubic", "lanczos", "bicubic without antialiasing"
KERNELS = (BICUBIC, LANCZOS, ALIASED)


def _keys(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5, as in ``resize``; 0 from 2 on."""
    x = x.abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    """Lanczos' kernel with three lobes, sinc(x) sinc(x / 3); 0 from 3 on."""
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


@lru_cache(maxsize=64)  # of large pictures one takes a megabyte
def shrinking_matrix(size_in: int, size_out: int, kernel: str) -> Tensor:
    """The (size_out, size_in) float64 matrix that shrinks one axis with Lanczos or with bicubic without antialiasing.

    Raises ScaleError if it would enlarge, ValueError for another kernel.
    """
    if kernel not in (LANCZOS, ALIASED):
        raise ValueError(f"unknown kernel {kernel!r}; there are: {', '.join(KERNELS)}")
    if not 1 <= size_out <= size_in:
        raise ScaleError(f"cannot shrink {size_in} px to {size_out} px; choose a size from 1 to {size_in} px")
    function, radius = (_lanczos, 3.0) if kernel == LANCZOS else (_keys, 2.0)
    stretch = size_out / size_in if kernel == LANCZOS else 1.0
    reach = radius / stretch
    # What is kept must be an ordinary tensor, also when the first caller runs in inference mode or on another device.
    with torch.inference_mode(False), torch.device("cpu"):
        centers = (torch.arange(size_out, dtype=torch.float64) + 0.5) * size_in / size_out - 0.5
        first = torch.ceil(centers - reach)
        positions = first[:, None] + torch.arange(math.floor(2 * reach) + 1, dtype=torch.float64)
        weights = function(stretch * (centers[:, None] - positions))
        weights = weights / weights.sum(1, keepdim=True)
        wrapped = positions.long() % (2 * size_in)  # mirrored, with the edge pixel repeated
        columns = torch.minimum(wrapped, 2 * size_in - 1 - wrapped)
        return torch.zeros(size_out, size_in, dtype=torch.float64).scatter_add_(1, columns, weights)


def shrink(images: Tensor, size: tuple[int, int], kernel: str = BICUBIC) -> Tensor:
    """Shrink float images (..., H, W) to ``size`` = (height, width) in px with one of ``KERNELS``; not clamped.

    ``bicubic`` is ``resize``, bit for bit. Without antialiasing, frequencies that the small picture cannot hold come back as
    others. Raises ScaleError if a side would grow, ValueError for an unknown kernel.
    """
    if kernel == BICUBIC:
        if size[0] > images.shape[-2] or size[1] > images.shape[-1]:
            raise ScaleError(
                f"cannot shrink {images.shape[-2]} x {images.shape[-1]} px to {size[0]} x {size[1]} px; choose a smaller size"
            )
        return resize(images, size)
    rows, columns = (
        shrinking_matrix(inward, outward, kernel).to(images) for inward, outward in zip(images.shape[-2:], size, strict=True)
    )
    return rows @ images @ columns.T
