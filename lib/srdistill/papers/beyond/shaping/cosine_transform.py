"""The discrete cosine transform of an axis as a matrix: orthonormal, so that distances are the same on both sides."""

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def cosine_matrix(size: int) -> Tensor:
    """The DCT-II of ``size`` values, float32 (size, size): ``C @ x`` are the coefficients, the mean first, and ``C.T @ c`` the
    values again.

    Raises ValueError: a size below 1.
    """
    if size < 1:
        raise ValueError(f"a cosine transform needs 1 value or more, got {size}")
    with torch.inference_mode(False):
        place = torch.arange(size, dtype=torch.float64)
        waves = torch.cos(math.pi * (place + 0.5) * place[:, None] / size) * math.sqrt(2 / size)
        waves[0] /= math.sqrt(2)
        return waves.float()
