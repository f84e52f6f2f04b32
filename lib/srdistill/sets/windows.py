"""Random square windows of pictures, as synthetic images: what real crops and downscaled pictures share."""

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures


def check_ipc(ipc: int) -> None:
    """Raise ValueError unless ``ipc`` is 1 or more."""
    if ipc < 1:
        raise ValueError(f"ipc (images per class) must be 1 or more, got {ipc}")


def draw_windows(real: Pictures, size: int, sides: Tensor, generator: torch.Generator) -> list[tuple[int, Tensor]]:
    """Windows as (label, ``uint8`` (3, side, side)), uniformly placed.

    ``sides``: (len(real), ipc) window sides in px, ``ipc`` windows per picture. Raises PictureError if a picture is smaller
    than ``size``.
    """
    real.require(size, f"the synthetic images of {size} px")
    windows = []
    for label, image in enumerate(real.images):
        height, width = image.shape[1:]
        for side in sides[label].tolist():
            top = int(torch.randint(height - side + 1, (), generator=generator))
            left = int(torch.randint(width - side + 1, (), generator=generator))
            windows.append((label, image[:, top : top + side, left : left + side]))
    return windows
