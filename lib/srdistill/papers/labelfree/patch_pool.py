"""Patches to choose from: the informative windows of a collection, with their scores and pseudo-classes.

Stage 1 of "Dataset Distillation for Super-Resolution without Class Labels and Pre-trained Models", section II-A.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from srdistill.files import UNREADABLE, read_tensors, write_tensors
from srdistill.images.pictures import Pictures
from srdistill.measures.patch_scores import score_windows, window_scores
from srdistill.papers.labelfree.candidates import candidates
from srdistill.papers.labelfree.published_scores import published_scores
from srdistill.papers.labelfree.selection import Selection
from srdistill.sets.distilled_set import SelectionError

# What is stored of every window, and as what.
_COLUMNS = {
    "picture": torch.int64, "top": torch.int64, "left": torch.int64,
    "score": torch.float64, "label": torch.int64, "distance": torch.float64,
}  # fmt: skip
_KIND = "patch_pool"
_SCORES = {"antialiased": window_scores, "published": published_scores}


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

    def __post_init__(self):
        for name, dtype in _COLUMNS.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != self.picture.shape or column.ndim != 1:
                raise SelectionError(
                    f"{name} of {len(self.picture)} patches is {dtype} ({len(self.picture)},), got {column.dtype} "
                    f"{tuple(column.shape)}; make the pool with candidate_patches"
                )
        if len(self) and not 0 <= int(self.label.min()) <= int(self.label.max()) < self.classes:
            raise SelectionError(f"pseudo-classes lie in 0..{self.classes - 1}, got {sorted(set(self.label.tolist()))}")
        if len(self) and not 0 <= int(self.picture.min()) <= int(self.picture.max()) < len(self.pictures):
            raise SelectionError(f"patches of picture {int(self.picture.max())}, but there are {len(self.pictures)} pictures")
        ends = torch.tensor([image.shape[1:] for image in self.pictures.images])[self.picture] - self.size
        corners = torch.stack([self.top, self.left], 1)
        outside = ((corners < 0) | (corners > ends)).any(1).nonzero().flatten().tolist()
        if outside:
            name = self.pictures.names[int(self.picture[outside[0]])]
            raise SelectionError(f"patch {outside[0]} of {self.size} px reaches over the border of {name}")

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

    def labelled(self) -> tuple[Tensor, Tensor]:
        """Pixels and pseudo-classes of all of them: ``images()``, ``uint8`` (N, 3, size, size), and ``label``, int64 (N,)."""
        return self.images(), self.label

    def members(self, label: int) -> Tensor:
        """Indices of one class, int64 (n,), the nearest to its centre first: its first few show what the class is about."""
        mine = (self.label == label).nonzero().flatten()
        return mine[self.distance[mine].argsort(stable=True)]

    @property
    def class_sizes(self) -> Tensor:
        """How many patches each class has, int64 (classes,)."""
        return self.label.bincount(minlength=self.classes)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically: where the patches lie and what is known of them, without the pixels."""
        about = {"size": self.size, "classes": self.classes, "settings": self.settings, "pictures": self.pictures.digest}
        write_tensors(path, _KIND, {name: getattr(self, name).contiguous() for name in _COLUMNS}, about)

    @classmethod
    def load(cls, path: str | Path, pictures: Pictures) -> "PatchPool":
        """Read what ``save`` wrote, for the ``pictures`` that the patches were cut from.

        Raises:
            SelectionError: these are other pictures; the file is damaged, or something else.
        """
        try:
            tensors, about = read_tensors(path, _KIND)
            if about["pictures"] == pictures.digest:
                columns = {name: tensors[name] for name in _COLUMNS}
                return cls(pictures, size=about["size"], classes=about["classes"], settings=about["settings"], **columns)
        except UNREADABLE as error:
            raise SelectionError(f"{path}: not a pool of patches, or damaged ({error}); select the patches again") from error
        raise SelectionError(
            f"{path}: its patches were cut from other pictures ({about['pictures'][:8]}) than these {len(pictures)} of "
            f"{pictures.origin or 'unknown origin'} ({pictures.digest[:8]}); give those, or select the patches again"
        )


def candidate_patches(real: Pictures, *, size: int, selection: Selection = Selection()) -> PatchPool:
    """The informative windows of ``size`` px of all pictures, without pseudo-labels.

    The paper names neither the patch size nor where it looks for patches: section II-A sounds like every place, section III-D
    like random ones. In the authors' code it is 512 px, on a grid of 256 px.

    Raises:
        SelectionError: nothing is below the threshold. PictureError: a picture is smaller than ``size``.
        ScaleError: 4 does not divide ``size``.
    """
    windows, scores = score_windows(real, size, selection.stride, measure=_SCORES[selection.measure])
    if not selection.border:
        on_grid = (windows.top % selection.stride == 0) & (windows.left % selection.stride == 0)
        columns = {name: getattr(windows, name)[on_grid] for name in ("labels", "top", "left")}
        windows, scores = replace(windows, **columns), scores[on_grid]
    chosen, limit = candidates(windows, scores, selection)
    settings = {
        "limit": round(limit, 4) if limit < math.inf else None, "quantile": selection.quantile, "stride": selection.stride,
        "border": selection.border, "measure": selection.measure, "overlap": selection.overlap, "windows": len(scores),
    }  # fmt: skip
    return PatchPool(
        real, size, windows.labels[chosen], windows.top[chosen], windows.left[chosen], scores[chosen],
        torch.zeros(len(chosen), dtype=torch.int64), torch.full((len(chosen),), torch.nan, dtype=torch.float64), 1,
        settings,
    )  # fmt: skip
