"""RRDBNet (ESRGAN, Wang et al. 2018), the generator of RealSR and Real-ESRGAN: dense blocks inside residual ones.

23 blocks of width 64 and growth 32 have 16,697,987 parameters at x4. Written here because spandrel's fixes the growth,
which makes a narrow one six times larger than it need be.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.convention import bicubic
from srdistill.networks.edsr import start_from_bicubic

# Of every residual, and of the initial weights of the dense blocks: deep stacks start near the identity.
_RESIDUAL_SCALE = 0.2
_INITIAL_SCALE = 0.1


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the input and all outputs before it; (N, width, H, W) in and out."""

    def __init__(self, width: int, growth: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width + k * growth, growth if k < 4 else width, 3, padding=1) for k in range(5))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight).data.mul_(_INITIAL_SCALE)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.layers[:-1]:
            seen.append(_leaky(layer(torch.cat(seen, 1))))
        return x + _RESIDUAL_SCALE * self.layers[-1](torch.cat(seen, 1))


class ResidualDenseBlock(nn.Module):
    """Three dense blocks with one more residual around them (RRDB); (N, width, H, W) in and out."""

    def __init__(self, width: int, growth: int):
        super().__init__()
        self.blocks = nn.Sequential(*[DenseBlock(width, growth) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        return x + _RESIDUAL_SCALE * self.blocks(x)


class RRDBNet(nn.Module):
    """``depth`` blocks of ``width`` channels, to which each dense layer adds ``growth``; enlarges by nearest neighbour.

    LR (N, 3, h, w) in [0, 1] to SR (N, 3, scale * h, scale * w), not clamped. ``over_bicubic``: see ``start_from_bicubic``.
    """

    def __init__(self, scale: int = 4, width: int = 64, depth: int = 23, growth: int = 32, over_bicubic: bool = False):
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"RRDBNet enlarges by 2, 3 or 4, got {scale}")
        self.scale, self.over_bicubic = scale, over_bicubic
        self.factors = (2, 2) if scale == 4 else (scale,)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*[ResidualDenseBlock(width, growth) for _ in range(depth)])
        self.after_body = nn.Conv2d(width, width, 3, padding=1)
        self.upsampler = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in self.factors)
        self.before_tail = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        if over_bicubic:
            start_from_bicubic(self.tail)

    def forward(self, lr: Tensor) -> Tensor:
        features = self.head(lr)
        features = features + self.after_body(self.body(features))
        for factor, layer in zip(self.factors, self.upsampler, strict=True):
            features = _leaky(layer(F.interpolate(features, scale_factor=factor, mode="nearest")))
        sr = self.tail(_leaky(self.before_tail(features)))
        return sr + bicubic(lr, self.scale) if self.over_bicubic else sr
