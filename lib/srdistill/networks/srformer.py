"""SRFormer (Zhou et al. 2023): attention in large windows whose keys and values are 2 x 2 positions folded into one.

SRFormer-light, the default, has 853,272 parameters at x2 and 872,748 at x4. The stochastic depth of the authors' code
(0.1) is left out: it draws random numbers inside the network.
"""

import torch
from torch import Tensor, nn

from srdistill.networks.transformer import (
    ConvFeedForward,
    TransformerSR,
    check_heads,
    from_windows,
    relative_bias,
    to_windows,
)


class PermutedAttention(nn.Module):
    """Attention of all positions of a window to its 2 x 2 cells (section 3.2).

    Keys and values are made with a quarter of the channels each; the four positions of a cell put theirs side by side,
    which gives all channels again on a quarter of the positions.
    """

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.heads, self.window = heads, window
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, width // 2)
        self.project = nn.Linear(width, width)
        # By offset between cells: the four positions of a query's cell share it.
        self.bias = nn.Parameter(torch.empty(heads, window - 1, window - 1))
        nn.init.trunc_normal_(self.bias, std=0.02)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """(B, window * window, C) in and out; ``hidden``: (windows, window * window, cells), which cells none looks at."""
        batch, positions, channels = x.shape
        half = self.window // 2
        folded = self.key_value(x).view(batch, half, 2, half, 2, 2, channels // 4)  # y, dy, x, dx, key or value
        keys, values = folded.permute(5, 0, 1, 3, 2, 4, 6).reshape(2, batch, half * half, self.heads, -1).transpose(2, 3)
        queries = self.query(x).view(batch, positions, self.heads, -1).transpose(1, 2)
        queries = queries * queries.shape[-1] ** -0.5
        scores = queries @ keys.transpose(-1, -2) + self._biases()
        if hidden is not None:
            scores = scores.view(-1, len(hidden), *scores.shape[1:]).masked_fill(hidden.unsqueeze(1), -torch.inf)
        attention = scores.softmax(-1).view(batch, self.heads, positions, -1)
        return self.project((attention @ values).transpose(1, 2).reshape(batch, positions, channels))

    def _biases(self) -> Tensor:
        """(heads, window * window, cells)."""
        half = self.window // 2
        cells = relative_bias(self.bias, half).view(self.heads, half, 1, half, 1, half * half)
        return cells.expand(-1, -1, 2, -1, 2, -1).reshape(self.heads, self.window**2, half * half)


def across_the_border(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Which cells lie on the other side of the picture: (windows, window * window, cells), for features moved by ``shift``.

    Moving wraps around, so that the last windows hold positions from both borders, which are no neighbours.
    """
    rows = torch.arange(height, device=device) >= height - shift
    columns = torch.arange(width, device=device) >= width - shift
    side = (2 * rows[:, None] + columns).view(1, height, width, 1)
    positions, cells = to_windows(side, window), to_windows(side[:, ::2, ::2], window // 2)
    return positions != cells.transpose(1, 2)


class Block(nn.Module):
    """Attention in windows, moved by ``shift`` px, then the feed-forward part; norms before each.

    (N, H, W, width) in and out; the window divides H and W.
    """

    def __init__(self, width: int, heads: int, window: int, shift: int, expansion: int):
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = PermutedAttention(width, heads, window)
        self.feed_forward = ConvFeedForward(width, width * expansion)

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        moved, hidden = self.norm1(x), None
        if self.shift:
            moved = torch.roll(moved, (-self.shift, -self.shift), (1, 2))
            hidden = across_the_border(height, width, self.window, self.shift, x.device)
        moved = from_windows(self.attention(to_windows(moved, self.window), hidden), self.window, height, width)
        x = x + torch.roll(moved, (self.shift, self.shift), (1, 2))
        return x + self.feed_forward(self.norm2(x))


class SRFormer(TransformerSR):
    """``depths``: blocks of each group. ``window`` in LR px, a multiple of 4: pictures are reflected up to it and cut back."""

    def __init__(
        self,
        scale: int = 2,
        width: int = 60,
        depths: tuple[int, ...] = (6, 6, 6, 6),
        heads: int = 6,
        window: int = 16,
        expansion: int = 2,
        over_bicubic: bool = False,
    ):
        if window < 4 or window % 4:  # half of it is the shift, which must not divide a cell
            raise ValueError(f"SRFormer's window must be a multiple of 4, got {window}")
        if width % 4:
            raise ValueError(f"SRFormer's width must be a multiple of 4, got {width}")
        check_heads("SRFormer", width, heads)
        super().__init__(
            scale,
            width,
            [[Block(width, heads, window, window // 2 * (k % 2), expansion) for k in range(depth)] for depth in depths],
            over_bicubic,
            multiple=window,
        )
