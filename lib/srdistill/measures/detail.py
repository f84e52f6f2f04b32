"""What bicubic does not get back of a picture: U D y, shrunk and enlarged again, against the picture y itself.

The less of a picture comes back, the more there is in it for super-resolution to learn. ``restored`` is what a stored LR
picture gives, in 8 bits; the other two are smooth in y, so that a loss may be made of them.
"""

import torch
from torch import Tensor

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resize import downscale, upscale

# -80 dB: a flat picture must not give an infinite logarithm.
_FLOOR = 1e-8


def lost_detail(images: Tensor, scale: int) -> Tensor:
    """y - U D y of float images (..., H, W) whose sides ``scale`` divides: linear, of zero mean up to the borders."""
    return images - upscale(downscale(images, scale), scale)


def recovered_psnr(images: Tensor, scale: int) -> Tensor:
    """PSNR(y, U D y) in dB, (N,), of float images (N, 3, H, W) in [0, 1]: the lower, the more detail. At most 80."""
    return -10 * torch.log10(lost_detail(images, scale).square().mean((1, 2, 3)) + _FLOOR)


def restored(image: Tensor, scale: int) -> Tensor:
    """U D y of ``uint8`` (..., H, W) whose sides ``scale`` divides: both the LR picture and what it gives in ``uint8``."""
    return to_uint8(upscale(to_float(low_resolution(image, scale)), scale))
