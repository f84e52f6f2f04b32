"""A small vision transformer (Dosovitskiy et al. 2021) as GLaD's students have it (after lucidrains/vit-pytorch).

Its version for 128 px has no LayerNorm at all, where its version for 32 px has the usual ones (networks/vit.py, vit_cifar.py).
"""

import torch
from torch import Tensor, nn

from srdistill.networks.transformer import check_heads
from srdistill.networks.widths import scaled

NORMS = {"layer": nn.LayerNorm, "none": lambda dim: nn.Identity()}


class ViT(nn.Module):
    """Pictures (N, 3, size, size) to logits (N, classes), read from a class token.

    ``patch``: side of a token's square in px. ``dim``: width of tokens, of all heads together and of the feed-forward layers.
    ``norm``: ``layer``, before every part of a block and before the last layer, or ``none``. ``dropout``: the share dropped in
    training, of the embedded tokens, of what attention adds, and behind both feed-forward layers. ``width_factor``: of ``dim``,
    which stays a multiple of ``heads``.

    10 classes: 9,523,722 parameters at 32 px; at 128 px with patch 16, depth 10 and no norm 16,176,650.

    Raises ValueError: a ``patch`` that does not divide ``size``, heads that do not divide ``dim``, an unknown ``norm``, a depth
    below 1, a dropout outside [0, 1); pictures of another size than ``size``.
    """

    def __init__(
        self,
        classes: int,
        size: int,
        patch: int = 4,
        depth: int = 6,
        dim: int = 512,
        heads: int = 8,
        norm: str = "layer",
        dropout: float = 0.1,
        width_factor: float = 1.0,
    ):
        super().__init__()
        if patch < 1 or size % patch:
            raise ValueError(f"ViT: patches of {patch} px do not divide pictures of {size} px; use another patch")
        if depth < 1 or not 0 <= dropout < 1:
            raise ValueError(f"ViT: depth must be 1 or more and dropout lie in [0, 1), got {depth} and {dropout}")
        if norm not in NORMS:
            raise ValueError(f"ViT: unknown norm {norm!r}; there are: {', '.join(NORMS)}")
        check_heads("ViT", dim, heads)
        dim = scaled(dim, width_factor, heads)
        self.size = size
        # One linear layer for every patch.
        self.embedding = nn.Conv2d(3, dim, patch, stride=patch)
        self.positions = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim))
        self.token = nn.Parameter(torch.randn(1, 1, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*[_Block(dim, heads, norm, dropout) for _ in range(depth)])
        self.norm = NORMS[norm](dim)
        self.classifier = nn.Linear(dim, classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            raise ValueError(f"this ViT takes pictures of {self.size} px, got {tuple(images.shape)}; resize them first")
        tokens = self.embedding(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), tokens], 1) + self.positions
        return self.classifier(self.norm(self.blocks(self.dropout(tokens))[:, 0]))


class _Block(nn.Module):
    """Attention, then a feed-forward part, each added to what it is given: (N, tokens, dim)."""

    def __init__(self, dim: int, heads: int, norm: str, dropout: float):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.forward_norm = NORMS[norm](dim), NORMS[norm](dim)
        self.queries_keys_values = nn.Linear(dim, 3 * dim, bias=False)
        self.mix = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(dim, dim), nn.Dropout(dropout)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.mix(self._attend(self.attention_norm(tokens)))
        return tokens + self.feed_forward(self.forward_norm(tokens))

    def _attend(self, tokens: Tensor) -> Tensor:
        # Written out: torch's fused attention has no second derivative on every device.
        queries, keys, values = self.queries_keys_values(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5).softmax(-1)
        return (weights @ values).transpose(1, 2).flatten(2)
