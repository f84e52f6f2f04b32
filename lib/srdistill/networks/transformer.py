"""What SRFormer and HiT-SR have in common: SwinIR's frame, its feed-forward part with a convolution, and windows.

Features travel as (N, H, W, C) between the blocks, so that linear layers and norms need no reshaping.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.convention import bicubic
from srdistill.networks.edsr import DIV2K_MEAN, start_from_bicubic


def reflect_to_multiple(x: Tensor, size: int, dims: tuple[int, int]) -> Tensor:
    """Continue ``x`` behind its end along ``dims`` by reflection, up to a multiple of ``size`` positions, however far.

    ``F.pad`` reflects once only, which is not enough for pictures smaller than the window.

    ``x``: any shape.
    """
    for dim in dims:
        if x.shape[dim] == 1 and size > 1:  # nothing to reflect
            x = torch.cat([x] * size, dim)
        while missing := -x.shape[dim] % size:
            take = min(missing, x.shape[dim] - 1)
            x = torch.cat([x, x.narrow(dim, x.shape[dim] - 1 - take, take).flip(dim)], dim)
    return x


def to_windows(x: Tensor, size: int) -> Tensor:
    """(N, H, W, C) to windows of ``size`` x ``size`` positions, (N * windows, size * size, C); ``size`` divides H and W."""
    n, height, width, channels = x.shape
    x = x.view(n, height // size, size, width // size, size, channels)
    return x.transpose(2, 3).reshape(-1, size * size, channels)


def from_windows(windows: Tensor, size: int, height: int, width: int) -> Tensor:
    """The inverse of ``to_windows``, of (N * windows, size * size, C): (N, height, width, C), in positions."""
    x = windows.view(-1, height // size, width // size, size, size, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def relative_bias(table: Tensor, size: int, cell: int = 1) -> Tensor:
    """Bias of each pair of query and key of a window: (heads, size * size, keys).

    Args:
        table: (heads, 2 * size - 1, 2 * size - 1), by offset of query minus key, from 1 - size to size - 1 each way.
        size: of the window, in positions.
        cell: keys are cells of ``cell`` x ``cell`` positions, whose biases are averaged.
    """
    if cell > 1:
        table = F.avg_pool2d(table, cell, stride=1)
    # Key k sees the queries under a window of the table that starts at the far end for k = 0.
    grid = table.unfold(1, size, cell).unfold(2, size, cell).flip(1, 2)
    return grid.flatten(3).flatten(1, 2).transpose(1, 2)


class ConvFeedForward(nn.Module):
    """Two linear layers with a 5 x 5 depth-wise convolution added between them (SRFormer, section 3.3).

    (N, h, w, width) in and out.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.mix = nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden)
        self.leave = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.enter(x))
        mixed = self.mix(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.leave(x + F.gelu(mixed))


class Group(nn.Module):
    """Blocks, a convolution and a residual around both; (N, h, w, width) in and out."""

    def __init__(self, width: int, blocks: Iterable[nn.Module]):
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.blocks(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class TransformerSR(nn.Module):
    """The frame of the light-weight versions: one convolution in, groups of blocks, one sub-pixel convolution out.

    LR (N, 3, h, w) in [0, 1] to SR (N, 3, scale * h, scale * w), not clamped. ``groups``: the blocks of each
    group; a block takes and returns (N, h, w, width). ``multiple``: what h and w must be multiples of; the picture is
    reflected up to it, the result cut back. ``over_bicubic``: see ``start_from_bicubic``.
    """

    def __init__(self, scale: int, width: int, groups: Iterable[Iterable[nn.Module]], over_bicubic: bool, multiple: int = 1):
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"{type(self).__name__} enlarges by 2, 3 or 4, got {scale}")
        self.scale, self.over_bicubic, self.multiple = scale, over_bicubic, multiple
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.LayerNorm(width)
        self.groups = nn.Sequential(*[Group(width, blocks) for blocks in groups])
        self.after_norm = nn.LayerNorm(width)
        self.after_body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Sequential(nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        if over_bicubic:
            start_from_bicubic(self.tail[0])

    def forward(self, lr: Tensor) -> Tensor:
        height, width = (side * self.scale for side in lr.shape[-2:])
        shallow = self.head(reflect_to_multiple(lr - self.mean, self.multiple, (2, 3)))
        deep = self.after_norm(self.groups(self.norm(shallow.permute(0, 2, 3, 1))))
        base = bicubic(lr, self.scale) if self.over_bicubic else self.mean
        return self.tail(shallow + self.after_body(deep.permute(0, 3, 1, 2)))[..., :height, :width] + base


def check_heads(name: str, channels: int, heads: int) -> None:
    """Raise ValueError unless ``heads`` divides ``channels``."""
    if heads < 1 or channels % heads:
        raise ValueError(f"{name}: {heads} heads do not divide {channels} channels; change width or heads")
