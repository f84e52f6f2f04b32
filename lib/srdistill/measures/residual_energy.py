"""What bicubic does not bring back, as energy per pixel: the larger, the more a network has to learn."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.measures.patch_scores import window_scores


def residual_energy(image: Tensor, size: int, tops: Sequence[int], lefts: Sequence[int], scale: int) -> Tensor:
    """Mean of (y - U D y)^2 over pixels and channels, in squared levels of 0..255, of the windows at every pair of ``tops``
    and ``lefts``: float64 (len(tops), len(lefts)).

    ``image``: ``uint8`` (3, H, W) with sides that ``scale`` divides. The same windows of an integral image as
    ``window_scores``, whose PSNR this is without the logarithm; 0 where bicubic brings everything back.
    """
    return 255.0**2 * torch.pow(10.0, -window_scores(image, size, tops, lefts, scale) / 10)
