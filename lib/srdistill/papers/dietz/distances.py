"""Distances between the gradients of a network on real and on synthetic images.

Each takes two lists of per-class gradients, one tensor (C, *shape) per weight, and returns (C,) distances.
``rows`` is what Dataset Condensation's code computes by default (VICO-UoE/DatasetCondensation, utils.py, "ours");
``cosine`` is the formula that Dietz et al. print as equation 3; ``mse`` is DC's third choice.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_EPSILON = 1e-6


def row_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Sum over weights and output channels of 1 - cosine; biases and other 1-D weights count nothing.

    A sum, not a mean: an SRCNN with 64, 32 and 3 output channels has values in [0, 198].
    """
    total = 0
    for s, r in zip(synthetic, real, strict=True):
        if s.ndim <= 2:  # the class axis and one more: a bias
            continue
        s, r = s.flatten(2), r.flatten(2)
        cosine = (s * r).sum(-1) / (s.norm(dim=-1) * r.norm(dim=-1) + _EPSILON)
        total = total + (1 - cosine).sum(-1)
    return total


def cosine_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """1 - cosine of all gradients in one vector, biases included; values in [0, 2]."""
    s, r = (torch.cat([g.flatten(1) for g in gradients], 1) for gradients in (synthetic, real))
    return 1 - (s * r).sum(-1) / (s.norm(dim=-1) * r.norm(dim=-1) + _EPSILON)


def mse_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Summed squared differences over all gradients, biases included."""
    return sum((s - r).flatten(1).square().sum(1) for s, r in zip(synthetic, real, strict=True))


DISTANCES: dict[str, Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]] = {
    "rows": row_distance,
    "cosine": cosine_distance,
    "mse": mse_distance,
}


def check_distance(name: str) -> None:
    """Raise ValueError unless ``name`` is a key of ``DISTANCES``."""
    if name not in DISTANCES:
        raise ValueError(f"unknown distance {name!r}; there are: {', '.join(DISTANCES)}")
