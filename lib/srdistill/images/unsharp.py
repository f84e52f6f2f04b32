"""A mild unsharp mask with a narrow blur: what shrinking takes of the finest detail, given back in part.

``sharpen`` is another one: wide, and only where there is an edge.
"""

import torch.nn.functional as F
from torch import Tensor

from srdistill.images.blur import blur
from srdistill.images.pictures import PictureError

# The 3 x 3 binomial blur: nothing is left of the highest frequency, 1/4 of the power at half of it.
_BINOMIAL = (0.25, 0.5, 0.25)


def unsharp(images: Tensor, amount: float) -> Tensor:
    """x + ``amount`` (x - B x) of float images (N, C, H, W), B the 3 x 3 binomial blur with mirrored borders; not clamped.

    The gain is 1 at frequency 0 and 1 + ``amount`` at 1/2 cycle per pixel. Raises PictureError for a negative amount, which
    would blur.
    """
    if not amount >= 0:
        raise PictureError(f"an unsharp mask has an amount of 0 or more, got {amount}; to blur, shrink with another kernel")
    if not amount:
        return images
    return images + amount * (images - blur(F.pad(images, [1] * 4, mode="replicate"), _BINOMIAL))
