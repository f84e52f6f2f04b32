"""The evaluation convention: from an HR picture to an LR/HR pair.

Pictures are cropped to a multiple of 12 (so that x2, x3 and x4 share them); LR is made by MATLAB-style antialiased
bicubic and stored as ``uint8``; plain bicubic enlargement is torch's (a = -0.75, ``align_corners=False``); outputs are
clamped and rounded to ``uint8``; ``scale`` pixels are shaved off each border before comparing. This is BasicSR's
convention (docs/ModelZoo.md) with its GTmod12 data. Plain bicubic under it gives 32.0620 dB / 0.9127 on Set5 x2 and
28.7188 dB / 0.8483 on Set14 x2: the printed VDSR baseline of Dietz et al., tables 1 to 4.
"""

import torch.nn.functional as F
from torch import Tensor

from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resize import ScaleError, downscale

MULTIPLE = 12


def mod_crop(image: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Crop (..., H, W) at the top left to a multiple of ``multiple`` pixels. Raises ScaleError: a side is smaller than that."""
    height, width = (side - side % multiple for side in image.shape[-2:])
    if not height or not width:
        raise ScaleError(
            f"a picture of {image.shape[-2]} x {image.shape[-1]} px is smaller than {multiple} px; leave it out"
        )
    return image[..., :height, :width]


def low_resolution(hr: Tensor, scale: int) -> Tensor:
    """The LR picture, ``uint8`` (..., h, w), of an HR ``uint8`` (..., H, W) whose size ``scale`` divides."""
    return to_uint8(downscale(to_float(hr), scale))


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Torch's bicubic enlargement of float (N, 3, h, w): the networks' own upsampling and the trivial baseline."""
    return F.interpolate(lr, scale_factor=scale, mode="bicubic", align_corners=False)
