"""Distances between the gradients of a network on real and on synthetic images.

Each takes two lists of per-class gradients, one tensor (C, *shape) per weight, and returns (C,) distances.
``rows`` is what Dataset Condensation means by default (VICO-UoE/DatasetCondensation, utils.py, "ours"); ``cosine`` is the
formula that Dietz et al. print as equation 3; ``mse`` is DC's third choice.

``rows-literal`` is DC's code to the letter: it adds 1e-6 to the product of the two norms, which there belong to a
cross-entropy of several nats. The loss of super-resolution is a mean square of differences in [0, 1]. Measured on the seven
embedded photographs and their versions shrunk to 64 px: half of the rows have a product below 1.5e-5 in the first layer of a
fresh SRCNN 64-32, and below 4e-9 in that of a trained SRCNN 16-8, where the literal distance finds 22 of 27 rows missing and
the plain cosines 11. So it depends on the unit of the loss, and falls when gradients merely grow. Dietz et al. most likely ran
it: they build on this code and say nothing of a change.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

_EPSILON = 1e-6


def row_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Sum over weights and output channels of 1 - cosine; biases and other 1-D weights count nothing.

    A sum, not a mean: an SRCNN with 64, 32 and 3 output channels has values in [0, 198]. The epsilon comes in after each side's
    gradient of a weight is divided by its largest row, so it means the same in any unit of the loss: multiplying either side
    by a number changes nothing. Rows a thousand times smaller than the largest, of filters that hardly ever fire, count half;
    without that they would pull at the images a thousand times as hard as all others.

    A row that is zero has no direction: behind a ReLU that never fires. Zero on both sides counts 0, for nothing is missing; on
    one side it counts 1, as a right angle does. Neither pulls at the images.

    Gradients (C, *shape) to (C,).
    """
    total = 0
    for s, r in _rows(synthetic, real):
        s, r = _over_the_largest(s), _over_the_largest(r)
        ours, theirs = s.any(-1), r.any(-1)
        total = total + torch.where(ours & theirs, _apart(s, r), (ours ^ theirs).to(s.dtype)).sum(-1)
    return total


def literal_row_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """The same to the letter of DC's code, 1e-6 on gradients as they are: a row whose norms multiply to less counts nearly 1,
    whatever it holds. Gradients (C, *shape) to (C,)."""
    return sum(_apart(s, r).sum(-1) for s, r in _rows(synthetic, real))


def cosine_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """1 - cosine of all gradients in one vector, biases included; values (C,) in [0, 2]. Zero gradients count as zero rows do.

    Gradients (C, *shape).
    """
    whole = [torch.cat([g.flatten(1) for g in gradients], 1)[:, None] for gradients in (synthetic, real)]
    return row_distance(whole[:1], whole[1:])


def mse_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Summed squared differences over all gradients, biases included; in squared units of the loss per unit of weight.

    Gradients (C, *shape) to (C,).
    """
    return sum((s - r).flatten(1).square().sum(1) for s, r in zip(synthetic, real, strict=True))


def _rows(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows (C, O, n) of every weight that is no bias: biases have the class axis and one more."""
    for s, r in zip(synthetic, real, strict=True):
        if s.ndim > 2:
            yield s.flatten(2), r.flatten(2)


def _over_the_largest(rows: Tensor) -> Tensor:
    """Rows (C, O, n) of a weight over the norm of the largest of each class; zeros stay zeros."""
    largest = rows.norm(dim=-1).amax(1)[:, None, None]
    return rows / torch.where(largest > 0, largest, 1.0)


def _apart(s: Tensor, r: Tensor) -> Tensor:
    """1 - cosine of rows (C, O, n), as DC writes it."""
    return 1 - (s * r).sum(-1) / (s.norm(dim=-1) * r.norm(dim=-1) + _EPSILON)


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
