"""Unsharp masking as Real-ESRGAN sharpens the pictures that its generator is compared with (Wang et al. 2021, section 3.5)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.blur import blur, gaussian
from srdistill.images.pictures import PictureError, to_float, to_uint8

# BasicSR's USMSharp: OpenCV's Gaussian of 51 px with the sigma that OpenCV derives from that size.
_RADIUS = 25
_SIGMA = 0.3 * (_RADIUS - 1) + 0.8
_WEIGHT = 0.5
_THRESHOLD = 10 / 255


def _blur(image: Tensor) -> Tensor:
    return blur(F.pad(image, [_RADIUS] * 4, mode="reflect"), gaussian(_RADIUS, _SIGMA))


def sharpen(image: Tensor) -> Tensor:
    """``uint8`` (3, H, W) to the same: half of what a wide blur takes away is added, where that is more than 10 levels.

    The places are blurred, too, so that sharpened and plain parts have no seam. Raises PictureError below 26 px.
    """
    if min(image.shape[-2:]) <= _RADIUS:
        raise PictureError(
            f"a picture of {image.shape[-2]} x {image.shape[-1]} px is too small to sharpen; "
            f"use pictures of {_RADIUS + 1} px or more, or a recipe without sharpening"
        )
    plain = to_float(image)
    detail = plain - _blur(plain)
    where = _blur((detail.abs() > _THRESHOLD).to(plain.dtype))
    sharp = (plain + _WEIGHT * detail).clamp(0, 1)
    return to_uint8(torch.lerp(plain, sharp, where))
