"""The texture of a tile by Sobel filters, as DCSR measures it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.papers.beyond.tiles.spectrum_embedding import luma

_ACROSS = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def sobel_complexity(tiles: Tensor) -> Tensor:
    """Mean of (|horizontal| + |vertical|) / 2 of the 3 x 3 Sobel filters over the luma of ``uint8`` (N, 3, t, t): float64 (N,).

    QingtangDing/DCSR, texture_complexity_measurement.py; borders are mirrored without the edge pixel, as OpenCV does it.
    """
    filters = torch.tensor(_ACROSS)
    filters = torch.stack([filters, filters.T])[:, None]
    grey = F.pad(luma(tiles)[:, None], [1] * 4, mode="reflect")
    return F.conv2d(grey, filters).abs().double().mean((1, 2, 3))
