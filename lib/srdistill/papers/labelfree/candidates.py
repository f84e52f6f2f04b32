"""Which windows are worth training on: those that bicubic gets back worst, at most so much of them overlapping."""

import math

import torch
from torch import Tensor

from srdistill.images.subimages import SubImages
from srdistill.papers.labelfree.selection import Selection
from srdistill.sets.distilled_set import SelectionError


def candidates(windows: SubImages, scores: Tensor, selection: Selection = Selection()) -> tuple[Tensor, float]:
    """Indices (n,), ascending, of the windows whose score is low, and the limit in dB that they were held against.

    ``scores``: (N,) dB, as ``score_windows`` gives them. Of ``selection``, its ``threshold``, ``quantile`` and ``overlap``.

    Raises:
        SelectionError: nothing is below the threshold.
    """
    quantile, overlap = selection.quantile, selection.overlap
    if quantile is None:
        limit = float(selection.threshold)
        chosen = (scores < limit).nonzero().flatten()
    else:
        limit = float(scores.kthvalue(math.ceil(quantile * len(scores))).values)
        chosen = (scores <= limit).nonzero().flatten()
    if not len(chosen):
        lowest = int(scores.argmin())
        where = windows.pictures.names[int(windows.labels[lowest])]
        raise SelectionError(
            f"none of {len(scores)} windows of {windows.crop} px scores below {limit:g} dB; the lowest is "
            f"{float(scores[lowest]):.2f} dB in {where}; raise threshold above that, or give a quantile instead"
        )
    if overlap < 1:
        parts = [chosen[windows.labels[chosen] == label] for label in windows.labels[chosen].unique().tolist()]
        chosen = torch.cat([_thin(windows, part, scores, overlap) for part in parts])
    return chosen, limit


def _thin(windows: SubImages, chosen: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Those of the ``chosen`` windows of one picture that survive, ascending."""
    size, kept = windows.crop, []
    left = chosen[scores[chosen].argsort(stable=True)]
    while len(left):
        kept.append(left[0])
        shared = 1
        for axis in (windows.top, windows.left):
            shared = shared * (size - (axis[left] - axis[left[0]]).abs()).clamp(min=0)
        # The first overlaps itself wholly, so it goes as well.
        left = left[shared <= overlap * size**2]
    return torch.stack(kept).sort().values
