"""Distances between the gradients of a network on real and on synthetic images.

Each takes two lists of per-class gradients, one tensor (C, *shape) per weight, and returns (C,) distances.
``rows`` is what Dataset Condensation means by default (VICO-UoE/DatasetCondensation, utils.py, "ours"); ``cosine`` is the
formula that Dietz et al. print as equation 3; ``mse`` is DC's third choice.

``rows-literal`` is DC's code to the letter: it adds 1e-6 to the product of the two norms, which there belong to a cross-entropy
of several nats. The loss of super-resolution is a mean square of differences in [0, 1], and in SRCNN's first layer that
product is itself between 1e-9 and 1e-5. So the literal distance depends on the unit of the loss, and falls when gradients
merely grow. Dietz et al. most likely ran it: they build on this code and say nothing of a change.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_LITERAL_EPSILON = 1e-6
# A row is dead if it is this much smaller than the largest row of its side and class: rounding noise, or a filter behind a ReLU
# that never fires, whose gradient is exactly zero.
_DEAD = 1e-6


def row_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Sum over weights and output channels of 1 - cosine; biases and other 1-D weights count nothing.

    A sum, not a mean: an SRCNN with 64, 32 and 3 output channels has values in [0, 198]. Multiplying either side by a number,
    the task loss by another unit, or one row by its own factor, changes nothing.

    Dead rows have no direction. One that is dead on both sides counts 0, for nothing is missing; on one side it counts 1, as a
    right angle does (and as DC's formula has it). Neither pulls at the images.
    """
    pairs = [(s.flatten(2), r.flatten(2)) for s, r in zip(synthetic, real, strict=True) if not _is_bias(s)]
    directions = [_directions([pair[side] for pair in pairs]) for side in (0, 1)]
    total = 0
    for (ours, mine), (theirs, other) in zip(*directions, strict=True):
        apart = 1 - (ours * theirs).sum(-1)
        total = total + torch.where(mine & other, apart, (mine != other).to(apart)).sum(-1)
    return total


def literal_row_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """The same to the letter of DC's code, 1e-6 and all: a row whose two norms multiply to less counts 1, whatever it holds."""
    total = 0
    for s, r in zip(synthetic, real, strict=True):
        if _is_bias(s):
            continue
        s, r = s.flatten(2), r.flatten(2)
        cosine = (s * r).sum(-1) / (s.norm(dim=-1) * r.norm(dim=-1) + _LITERAL_EPSILON)
        total = total + (1 - cosine).sum(-1)
    return total


def cosine_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """1 - cosine of all gradients in one vector, biases included; values in [0, 2]. Zero gradients count as dead rows do."""
    whole = [torch.cat([g.flatten(1) for g in gradients], 1)[:, None] for gradients in (synthetic, real)]
    return row_distance(whole[:1], whole[1:])


def mse_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Summed squared differences over all gradients, biases included; in squared units of the loss per unit of weight."""
    return sum((s - r).flatten(1).square().sum(1) for s, r in zip(synthetic, real, strict=True))


def _is_bias(gradient: Tensor) -> bool:
    return gradient.ndim <= 2  # the class axis and one more


def _directions(rows: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Rows (C, O, n) of each weight at length 1, and which of them live, (C, O)."""
    norms = [row.detach().norm(dim=-1) for row in rows]
    largest = torch.stack([norm.amax(1) for norm in norms]).amax(0)[:, None]
    found = []
    for row, norm in zip(rows, norms, strict=True):
        alive = norm > _DEAD * largest
        # The safe number comes in before the root, so that a dead row's derivative is 0, not NaN.
        square = torch.where(alive[..., None], row, 1.0).square().sum(-1, keepdim=True)
        found.append((torch.where(alive[..., None], row, 0.0) / square.sqrt(), alive))
    return found


DISTANCES: dict[str, Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]] = {
    "rows": row_distance,
    "rows-literal": literal_row_distance,
    "cosine": cosine_distance,
    "mse": mse_distance,
}
# Those to which biases count nothing.
WITHOUT_BIASES = ("rows", "rows-literal")


def check_distance(name: str) -> None:
    """Raise ValueError unless ``name`` is a key of ``DISTANCES``."""
    if name not in DISTANCES:
        raise ValueError(f"unknown distance {name!r}; there are: {', '.join(DISTANCES)}")
