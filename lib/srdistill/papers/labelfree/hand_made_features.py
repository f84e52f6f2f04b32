"""What a patch looks like, without a trained network: oriented gradients and colours, from scikit-image."""

import numpy as np
import torch
from torch import Tensor

from srdistill.images.pictures import PictureError

# Cells per side of a patch, whatever its size; and patches per side of a block of cells.
_CELLS, _BLOCK = 4, 2
_SMALLEST = 16


def hog_and_colour(windows: Tensor) -> Tensor:
    """``uint8`` (N, 3, H, W), 16 px or more on each side, to float32 (N, 330).

    Histograms of oriented gradients (Dalal and Triggs 2005; 9 orientations, 4 x 4 cells, blocks of 2 x 2 cells, 324 values,
    norm 1 unless the patch is flat), then mean and standard deviation of L, a and b of CIELAB, in hundreds.

    Raises:
        PictureError: windows of another shape or type, or smaller than 16 px.
    """
    from skimage.color import rgb2lab
    from skimage.feature import hog

    if windows.dtype != torch.uint8 or windows.ndim != 4 or windows.shape[1] != 3 or min(windows.shape[2:]) < _SMALLEST:
        raise PictureError(
            f"features need uint8 windows (N, 3, H, W) of {_SMALLEST} px or more, got {windows.dtype} {tuple(windows.shape)}"
        )
    cell = tuple(side // _CELLS for side in windows.shape[2:])
    # Each block has norm 1.
    blocks = _CELLS - _BLOCK + 1
    found = []
    for picture in windows.permute(0, 2, 3, 1).contiguous().numpy():
        gradients = hog(picture, 9, cell, (_BLOCK, _BLOCK), channel_axis=-1) / blocks
        colours = rgb2lab(picture).reshape(-1, 3) / 100
        found.append(np.concatenate([gradients, colours.mean(0), colours.std(0)]))
    return torch.from_numpy(np.array(found, dtype=np.float32).reshape(len(windows), -1))
