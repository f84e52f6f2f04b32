"""Pictures of cells: IDM (Zhao et al., CVPR 2023) stores four small pictures of a class in one, and enlarges each to train on.

Unlike RDED's collages, whose cells stay beside each other when a student sees them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.pictures import PictureError


def cut(pictures: Tensor, factor: int = 2) -> Tensor:
    """Pictures (N, 3, S, S) to their cells (N * factor**2, 3, S / factor, S / factor), picture after picture, row by row.

    Raises PictureError: ``factor`` does not divide S.
    """
    size = pictures.shape[-1]
    if factor < 1 or size % factor or not size:
        raise PictureError(f"{factor} x {factor} cells of one size do not fill pictures of {size} px; use a divisor of {size}")
    cells = pictures.unflatten(3, (factor, -1)).unflatten(2, (factor, -1))  # (N, 3, rows, h, columns, w)
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def joined(cells: Tensor, factor: int = 2) -> Tensor:
    """The inverse of ``cut``. Raises PictureError: the cells are not a multiple of ``factor**2``.

    Cells (N, 3, s, s) to pictures (N / factor**2, 3, S, S).
    """
    if factor < 1 or len(cells) % factor**2:
        raise PictureError(f"{len(cells)} cells do not make pictures of {factor} x {factor}; give a multiple of {factor**2}")
    grid = cells.unflatten(0, (-1, factor, factor))  # (N, rows, columns, 3, h, w)
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def partition(pictures: Tensor, factor: int = 2) -> Tensor:
    """What is trained on: every cell of float pictures (N, 3, S, S) enlarged to S px, (N * factor**2, 3, S, S), bilinearly.

    Differentiable; labels repeat ``factor**2`` times. Raises what ``cut`` raises.
    """
    return F.interpolate(cut(pictures, factor), scale_factor=factor, mode="bilinear", align_corners=False)


def gathered(pictures: Tensor, factor: int = 2) -> Tensor:
    """``factor**2`` float pictures after another shrunk bilinearly into the cells of one: where IDM starts.

    (N * factor**2, 3, S, S) to (N, 3, S, S). Raises PictureError: ``factor`` does not divide S or the number of pictures.
    """
    size = pictures.shape[-1]
    if factor < 1 or size % factor:
        raise PictureError(f"{factor} x {factor} cells of one size do not fill pictures of {size} px; use a divisor of {size}")
    return joined(F.interpolate(pictures, (size // factor,) * 2, mode="bilinear", align_corners=False), factor)


def partition_labels(labels: Tensor, factor: int = 2) -> Tensor:
    """Labels (N,) to those of the pictures of ``partition``, (N * factor**2,)."""
    return torch.repeat_interleave(labels, factor**2)
