"""What pictures from the class alone are kept as (table 4, "only text cond."): nothing but how many of which class."""

import torch

from srdistill.images.labelled import LabelledPictures
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.windows import check_ipc


def no_patches(real: LabelledPictures, *, ipc: int, factor: int, generator: torch.Generator) -> DistilledSet:
    """``ipc * factor**2`` places for every class, as many as ``coreset_patches`` fills, with pictures of 0 x 0 px.

    An ``Expansion`` that is not anchored makes its pictures from class and seed. The set counts as no image, no pixel, no byte
    but those of the labels. Of ``real`` only the classes count, and nothing is drawn.

    Raises SelectionError: ``ipc`` or ``factor`` is less than 1.
    """
    check_ipc(ipc)
    if factor < 1:
        raise SelectionError(f"factor must be 1 or more, got {factor}; 2 makes four pictures where one is asked for")
    labels = torch.arange(len(real.classes)).repeat_interleave(ipc * factor**2)
    nothing = torch.zeros(len(labels), 3, 0, 0, dtype=torch.uint8)
    return DistilledSet(nothing, labels, tuple(real.classes), "no_patches", {"ipc": ipc, "factor": factor})
