"""HiT-SR (Zhang et al. 2024), its version HiT-SRF: windows that grow from block to block, correlations without softmax.

As published: 846,944 parameters at x2 and 866,420 at x4. Follows the authors' code (basicsr/archs/hit_srf_arch.py),
where a picture smaller than half the largest window is an error; here reflection goes on as far as it must.
"""

import torch
from torch import Tensor, nn

from srdistill.networks.transformer import (
    ConvFeedForward,
    TransformerSR,
    check_heads,
    from_windows,
    reflect_to_multiple,
    relative_bias,
    to_windows,
)


class DualFeatures(nn.Module):
    """A convolutional branch times a linear one: local and per-position features; (N, width, H, W) in and out."""

    def __init__(self, width: int):
        super().__init__()
        narrow = width // 5
        self.conv = nn.Sequential(
            nn.Conv2d(width, narrow, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(narrow, width, 1),
        )
        self.linear = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.linear(x)


class PositionBias(nn.Module):
    """Biases by relative position from a small network, which serves windows of any size without large tables."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(2, width)]
        for out in (width, width, heads):
            layers += [nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out)]
        self.layers = nn.Sequential(*layers)

    def forward(self, size: int) -> Tensor:
        """(heads, 2 * size - 1, 2 * size - 1): by offset, from 1 - size to size - 1 positions each way."""
        weight = self.layers[0].weight
        steps = torch.arange(1 - size, size, device=weight.device, dtype=weight.dtype)
        offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
        return self.layers(offsets).permute(2, 0, 1)


class Correlation(nn.Module):
    """Spatial and channel correlation of the positions of a window, half the channels each (section 3.3).

    Of the values, a window larger than ``base`` keeps ``base`` x ``base`` weighted means: the cost per position stays
    the same however large the window is.
    """

    def __init__(self, width: int, heads: int, base: int, window: int):
        super().__init__()
        self.heads, self.window = heads, window
        self.cell = max(1, window // base)
        self.features = DualFeatures(width)
        self.pool = nn.Linear(self.cell**2, 1)
        # A norm over one value would pass nothing on.
        self.position = PositionBias(max(2, width // 16), heads)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) in and out; the window divides H and W."""
        _, height, width, channels = x.shape
        features = self.features(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        queries, values = to_windows(features, self.window).chunk(2, -1)  # (B, L, C / 2)
        both = torch.cat([self._spatial(queries, values), self._channel(queries, values)], -1)
        return self.project(from_windows(both, self.window, height, width))

    def _spatial(self, queries: Tensor, values: Tensor) -> Tensor:
        batch, positions, channels = queries.shape
        cells = self.window // self.cell
        # A cell's positions side by side: (B, cells, cells, C / 2, cell * cell).
        grouped = values.view(batch, cells, self.cell, cells, self.cell, channels).permute(0, 1, 3, 5, 2, 4)
        pooled = self.pool(grouped.flatten(4)).view(batch, cells * cells, self.heads, -1).transpose(1, 2)
        queries = queries.view(batch, positions, self.heads, -1).transpose(1, 2)
        bias = relative_bias(self.position(self.window), self.window, self.cell)
        correlation = queries @ pooled.transpose(-1, -2) / queries.shape[-1] + bias
        return (correlation @ pooled).transpose(1, 2).reshape(batch, positions, channels)

    def _channel(self, queries: Tensor, values: Tensor) -> Tensor:
        correlation = queries.transpose(-1, -2) @ values / queries.shape[1]
        return values @ correlation.transpose(-1, -2)


class Block(nn.Module):
    """Correlation in windows, then the feed-forward part; norms after each. (N, H, W, width) in and out, of any H and W."""

    def __init__(self, width: int, heads: int, base: int, window: int, expansion: int):
        super().__init__()
        self.window = window
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.correlation = Correlation(width, heads, base, window)
        self.feed_forward = ConvFeedForward(width, width * expansion)

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        correlated = self.correlation(reflect_to_multiple(x, self.window, (1, 2)))
        x = x + self.norm1(correlated[:, :height, :width])
        return x + self.norm2(self.feed_forward(x))


class HiTSR(TransformerSR):
    """``groups`` of one block per window; ``windows`` in LR pixels, those above ``base`` multiples of it.

    Features are reflected up to each block's window and cut back after it, so any LR size goes through, but one smaller
    than the largest window costs as much as the window.
    """

    def __init__(
        self,
        scale: int = 2,
        width: int = 60,
        groups: int = 4,
        heads: int = 6,
        base: int = 8,
        windows: tuple[int, ...] = (4, 8, 16, 32, 48, 64),
        expansion: int = 2,
        over_bicubic: bool = False,
    ):
        if width % 2 or width < 6:
            raise ValueError(f"HiT-SR's width must be even and 6 or more, got {width}")
        check_heads("HiT-SR", width // 2, heads)
        if bad := [window for window in windows if window < 1 or (window > base and window % base)]:
            raise ValueError(f"HiT-SR: a window of {bad[0]} px is no multiple of the base of {base} px")
        super().__init__(
            scale,
            width,
            [[Block(width, heads, base, window, expansion) for window in windows] for _ in range(groups)],
            over_bicubic,
        )
