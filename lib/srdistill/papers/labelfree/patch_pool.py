"""Patches to choose from: the informative windows of a collection, with their scores and pseudo-classes.

Stage 1 of "Dataset Distillation for Super-Resolution without Class Labels and Pre-trained Models", section II-A.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from srdistill.images.patch_scores import score_windows
from srdistill.images.pictures import Pictures
from srdistill.papers.labelfree.candidates import candidates


@dataclass(frozen=True)
class PatchPool:
    """N windows of ``size`` x ``size`` px; pixels stay in the pictures.

    ``picture``, ``top``, ``left``: int64 (N,), where each lies, sorted by picture. ``score``: float64 (N,), PSNR(y, U4 D4 y)
    in dB. ``label``: int64 (N,), the pseudo-class, below ``classes``. ``distance``: float64 (N,), to the centre of its
    class in feature space. Without pseudo-labels there is one class, and distances are NaN. ``settings`` (JSON values) say
    how it was made; ``limit`` among them is the score it was cut at (None: none), ``windows`` how many there were before.
    """

    pictures: Pictures
    size: int
    picture: Tensor
    top: Tensor
    left: Tensor
    score: Tensor
    label: Tensor
    distance: Tensor
    classes: int
    settings: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.picture)

    def images(self, indices: Tensor | Sequence[int] | None = None) -> Tensor:
        """Their pixels, ``uint8`` (n, 3, size, size), at indices in any order, or where a mask (N,) is true; all by default."""
        rows = torch.stack([self.picture, self.top, self.left], 1)
        if indices is not None:
            chosen = torch.as_tensor(indices)
            rows = rows[chosen if chosen.dtype == torch.bool else chosen.long()]
        found = torch.empty(len(rows), 3, self.size, self.size, dtype=torch.uint8)
        for out, (picture, y, x) in zip(found, rows.tolist(), strict=True):
            out.copy_(self.pictures.images[picture][:, y : y + self.size, x : x + self.size])
        return found

    def members(self, label: int) -> Tensor:
        """Indices of one class, the nearest to its centre first: its first few show what the class is about."""
        mine = (self.label == label).nonzero().flatten()
        return mine[self.distance[mine].argsort(stable=True)]

    @property
    def class_sizes(self) -> Tensor:
        """How many patches each class has, int64 (classes,)."""
        return self.label.bincount(minlength=self.classes)


def candidate_patches(
    real: Pictures,
    *,
    size: int,
    threshold: float = 23.0,
    quantile: float | None = None,
    stride: int = 32,
    overlap: float = 1.0,
) -> PatchPool:
    """The informative windows of all pictures, without pseudo-labels.

    The paper names neither the patch size (256 px would fit its diffusion model) nor where it looks for patches: section II-A
    sounds like every place, section III-D like random ones. Here they lie on a grid.

    Args:
        size, stride: windows of ``size`` px every ``stride`` px, the last flush with the border.
        threshold, quantile, overlap: as in ``candidates``.

    Raises:
        SelectionError: nothing is below the threshold. PictureError: a picture is smaller than ``size``.
        ScaleError: 4 does not divide ``size``.
    """
    windows, scores = score_windows(real, size, stride)
    chosen, limit = candidates(windows, scores, threshold=threshold, quantile=quantile, overlap=overlap)
    settings = {
        "limit": round(limit, 4) if limit < math.inf else None, "quantile": quantile, "stride": stride, "overlap": overlap,
        "windows": len(scores),
    }  # fmt: skip
    return PatchPool(
        real, size, windows.labels[chosen], windows.top[chosen], windows.left[chosen], scores[chosen],
        torch.zeros(len(chosen), dtype=torch.int64), torch.full((len(chosen),), torch.nan, dtype=torch.float64), 1,
        settings,
    )  # fmt: skip
