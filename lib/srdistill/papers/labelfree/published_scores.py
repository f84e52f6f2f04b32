"""How the authors' code scores a patch (sunwoocho/SRDD, src/1_select_patches.py), which the paper's text leaves open.

The patch alone, in grey of 8 bits, shrunk by four and enlarged again with OpenCV's bicubic, which has a = -0.75 and does not
antialias; nothing is rounded in between. ``measures.patch_scores`` has the field's own downscaling instead: antialiased, in
colour, stored as 8 bits.

The difference is not small. Of the windows of 256 px, every 128 px, in the 200 training pictures of BSDS, these scores have the
median 23.1 dB and 48 % lie below 23 dB; those of ``measures.patch_scores`` have the median 24.6 dB, and 32 % lie below. "23
dB, the median of the patch distribution" (section III-A) fits the code.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Windows whose pixels are held at a time.
_CHUNK = 256


def grey(image: Tensor) -> Tensor:
    """``uint8`` (..., 3, H, W) to luma, ``uint8`` (..., 1, H, W): 0.299 R + 0.587 G + 0.114 B, as Pillow rounds it."""
    red, green, blue = image.int().unbind(-3)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8).unsqueeze(-3)


def published_scores(image: Tensor, size: int, tops: Sequence[int], lefts: Sequence[int], scale: int = 4) -> Tensor:
    """PSNR in dB of the windows of ``size`` px at every pair of ``tops`` and ``lefts``, float64 (len(tops), len(lefts)).

    ``image``: ``uint8`` (3, H, W). Infinite for a window that comes back without error.
    """
    flat = grey(image)
    corners = [(top, left) for top in tops for left in lefts]
    found = []
    for first in range(0, len(corners), _CHUNK):
        chosen = corners[first : first + _CHUNK]
        windows = torch.stack([flat[:, top : top + size, left : left + size] for top, left in chosen]).float()
        small = F.interpolate(windows, (size // scale, size // scale), mode="bicubic", align_corners=False)
        back = F.interpolate(small, (size, size), mode="bicubic", align_corners=False)
        found.append((windows - back).double().square().mean((1, 2, 3)))
    return 10 * torch.log10(255.0**2 / torch.cat(found)).view(len(tops), len(lefts))
