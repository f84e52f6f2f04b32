"""IMDN (Hui et al. 2019): blocks that set a quarter of their channels aside three times and pass the rest on.

As published (6 blocks, width 64): 694,404 parameters at x2, 703,059 at x3 and 715,176 at x4. Values stay in [0, 1], without
a mean colour, as in the authors' code (github.com/Zheng222/IMDN), whose slopes of 0.05 these are.
"""

import torch
from torch import Tensor, nn

from srdistill.images.convention import bicubic
from srdistill.networks.edsr import start_from_bicubic

_SLOPE = 0.05
# The square root of a variance has no derivative at 0, which a channel that is flat over a crop would reach.
_LEAST_VARIANCE = 1e-12


class ContrastAttention(nn.Module):
    """Weighs channels by their standard deviation plus mean over the whole picture (section 3.3)."""

    def __init__(self, width: int, reduction: int):
        super().__init__()
        self.decide = nn.Sequential(
            nn.Conv2d(width, width // reduction, 1), nn.ReLU(), nn.Conv2d(width // reduction, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        return x * self.decide((variance + _LEAST_VARIANCE).sqrt() + mean)


class Block(nn.Module):
    """Three convolutions of which a quarter of the channels is kept each, a fourth that makes the last quarter; attention, a
    1x1 convolution, and the input added (section 3.2)."""

    def __init__(self, width: int, reduction: int):
        super().__init__()
        self.kept, self.passed = width // 4, width - width // 4
        self.refine = nn.ModuleList(nn.Conv2d(inward, width, 3, padding=1) for inward in (width, self.passed, self.passed))
        self.last = nn.Conv2d(self.passed, self.kept, 3, padding=1)
        self.activation = nn.LeakyReLU(_SLOPE)
        self.attention = ContrastAttention(width, reduction)
        self.fuse = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        rest, kept = x, []
        for layer in self.refine:
            part, rest = self.activation(layer(rest)).split((self.kept, self.passed), 1)
            kept.append(part)
        return x + self.fuse(self.attention(torch.cat([*kept, self.last(rest)], 1)))


class IMDN(nn.Module):
    """``depth`` blocks of ``width`` channels; what each gives is collected at the end. ``reduction``: of the attention.

    The attention looks at the whole picture, so that an output pixel depends on all of the input, unlike in training crops.
    ``over_bicubic``: see ``edsr.start_from_bicubic``.

    Raises ValueError for a scale other than 2, 3 and 4, a width that is no multiple of 4, and a reduction above the width.
    """

    def __init__(self, scale: int = 2, width: int = 64, depth: int = 6, reduction: int = 16, over_bicubic: bool = False):
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"IMDN enlarges by 2, 3 or 4, got {scale}")
        if width < 4 or width % 4:  # a quarter is set aside
            raise ValueError(f"IMDN's width must be a multiple of 4, got {width}")
        if depth < 1:
            raise ValueError(f"IMDN needs 1 block or more, got {depth}")
        if not 1 <= reduction <= width:
            raise ValueError(f"IMDN's reduction must be between 1 and the width {width}, got {reduction}")
        self.scale, self.over_bicubic = scale, over_bicubic
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, reduction) for _ in range(depth))
        self.collect = nn.Sequential(nn.Conv2d(depth * width, width, 1), nn.LeakyReLU(_SLOPE))
        self.after_body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        if over_bicubic:
            start_from_bicubic(self.tail[0])

    def forward(self, lr: Tensor) -> Tensor:
        shallow = features = self.head(lr)
        found = []
        for block in self.blocks:
            features = block(features)
            found.append(features)
        enlarged = self.tail(shallow + self.after_body(self.collect(torch.cat(found, 1))))
        return enlarged + bicubic(lr, self.scale) if self.over_bicubic else enlarged
