"""EDSR (Lim et al. 2017), as BasicSR configures it.

Baseline: 16 blocks of width 64, 1,369,859 parameters at x2 and 1,517,571 at x4 (the EDSR of Dietz et al.). Large:
32 blocks of width 256 with residual scaling 0.1, 40,729,603 and 43,089,923.
"""

import torch
from torch import Tensor, nn

from srdistill.images.convention import bicubic

# The mean colour of DIV2K's training pictures, which EDSR subtracts; values in [0, 1].
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def start_from_bicubic(last: nn.Conv2d) -> None:
    """Set the last convolution to zero: a network with ``over_bicubic`` adds to bicubic enlargement and starts as that.

    Not in the published networks. From their own start, the few hundred steps that a laptop has time for end below
    bicubic at x4.
    """
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions without batch norm, scaled and added to the input; (N, width, H, W) in and out."""

    def __init__(self, width: int, residual_scale: float):
        super().__init__()
        self.residual_scale = residual_scale
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.relu = nn.ReLU()  # a module, for ``training.evaluate.Firing`` to look at

    def forward(self, x: Tensor) -> Tensor:
        return x + self.residual_scale * self.conv2(self.relu(self.conv1(x)))


def _upsampler(scale: int, width: int) -> nn.Sequential:
    if scale not in (2, 3, 4):
        raise ValueError(f"EDSR enlarges by 2, 3 or 4, got {scale}")
    factors = [2, 2] if scale == 4 else [scale]
    layers: list[nn.Module] = []
    for factor in factors:
        layers += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers)


class EDSR(nn.Module):
    """``width`` channels, ``depth`` residual blocks; values are centred on the mean colour and scaled to 0..255.

    LR (N, 3, h, w) in [0, 1] to SR (N, 3, scale * h, scale * w), not clamped. ``over_bicubic``: see ``start_from_bicubic``.
    """

    def __init__(
        self,
        scale: int = 2,
        width: int = 64,
        depth: int = 16,
        residual_scale: float = 1.0,
        over_bicubic: bool = False,
    ):
        super().__init__()
        self.scale, self.over_bicubic = scale, over_bicubic
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*[ResidualBlock(width, residual_scale) for _ in range(depth)])
        self.after_body = nn.Conv2d(width, width, 3, padding=1)
        self.upsampler = _upsampler(scale, width)
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        if over_bicubic:
            start_from_bicubic(self.tail)

    def forward(self, lr: Tensor) -> Tensor:
        features = self.head((lr - self.mean) * 255.0)
        features = features + self.after_body(self.body(features))
        base = bicubic(lr, self.scale) if self.over_bicubic else self.mean
        return self.tail(self.upsampler(features)) / 255.0 + base
