"""Labels of a teacher: what a larger network makes of an image's LR version, in place of the image or mixed with it.

An ablation, not a selection: such a set carries what the teacher knows, which is more than its pixels show.
"""

from dataclasses import replace

import torch
from torch import nn

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.sets.distilled_set import DistilledSet, SelectionError

_BATCH = 32


def taught(
    real: Pictures,
    *,
    source: DistilledSet,
    teacher: nn.Module,
    scale: int,
    generator: torch.Generator,
    share: float = 1.0,
) -> DistilledSet:
    """The images y of ``source``, ``uint8`` (N, 3, H, W), as (1 - share) y + share T(D y): T the ``teacher``, which enlarges by
    ``scale``, and D the convention's shrinking. Labels stay; of ``real`` nothing is taken, and nothing is drawn.

    Students make their LR images of the new ones, as of any set.

    Raises SelectionError: a share outside (0, 1], or images whose sides ``scale`` does not divide.
    """
    if not 0 < share <= 1:
        raise SelectionError(f"share of the teacher's image must lie above 0 and be 1 at most, got {share:g}")
    if any(side % scale for side in source.images.shape[-2:]):
        raise SelectionError(
            f"scale {scale} does not divide images of {source.images.shape[-2]} x {source.images.shape[-1]} px; "
            "choose a set whose sides it divides"
        )
    device = next(teacher.parameters()).device
    made = []
    with torch.inference_mode():
        for images in source.images.to(device).split(_BATCH):
            told = teacher(to_float(low_resolution(images, scale))).clamp(0, 1)
            made.append(to_uint8((1 - share) * to_float(images) + share * told).cpu())
    settings = source.settings | {"source": source.method, "teacher": type(teacher).__name__, "share": share}
    return replace(source, images=torch.cat(made), method="taught", settings=settings, snapshots={}, latents={})
