"""Which windows are worth training on: those that bicubic gets back worst, at most so much of them overlapping."""

import math

import torch
from torch import Tensor

from srdistill.images.subimages import SubImages
from srdistill.sets.distilled_set import SelectionError


def candidates(
    windows: SubImages,
    scores: Tensor,
    *,
    threshold: float = 23.0,
    quantile: float | None = None,
    overlap: float = 1.0,
) -> tuple[Tensor, float]:
    """Indices (n,), ascending, of the windows whose score is low, and the limit in dB that they were held against.

    Args:
        scores: (N,) dB, as ``score_windows`` gives them.
        threshold: keep scores below it; the paper's 23 dB (section III-A) is the median of its own patches.
        quantile: keep the lowest such share of all windows instead (ties with the last one are kept); ``threshold`` is
            not used then. 0.5 is the paper's choice in terms of any other pictures.
        overlap: at most this share of a window's area may be shared by two chosen windows of one picture. From the
            lowest score up, windows that overlap a chosen one by more are dropped (greedy non-maximum suppression, as
            SamplingAug has it). 1 is off: the paper mentions nothing of the kind.

    Raises:
        SelectionError: nothing is below the threshold; impossible settings.
    """
    if quantile is not None and not 0 < quantile <= 1:
        raise SelectionError(f"quantile must lie in (0, 1], got {quantile}; 0.5 keeps the lower half of all windows")
    if not 0 <= overlap <= 1:
        raise SelectionError(f"overlap must lie in [0, 1], got {overlap}; 0 keeps windows apart, 1 lets them overlap")
    if quantile is None:
        limit = float(threshold)
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
