"""Sets with labels of their own, hard ones or learned, as students without a teacher are given them."""

from collections.abc import Callable

import torch
from torch import Tensor

from srdistill.diffusion.engine import Engine, interpolated
from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.expanding.expanded_source import ExpandedSource
from srdistill.papers.coreset.expanding.expansion import Expansion
from srdistill.papers.coreset.matching.partition import partition, partition_labels
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.learned_set import pictures_of, rounded_set, targets_of


class OwnLabels:
    """``source(epoch)``: the same pictures, float (N, 3, S, S), and labels in every epoch."""

    def __init__(self, pictures: Tensor, labels: Tensor):
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        return self.pictures, self.labels


def own_labels(made: DistilledSet, real: LabelledPictures, rounded: bool = False) -> OwnLabels:
    """The pictures as they were learned, or with ``rounded`` after 8 bits; patches enlarged to the size of ``real``. Pictures
    of cells (IDM) are trained on cell by cell."""
    pictures, labels = pictures_of(rounded_set(made) if rounded else made), targets_of(made)
    cells = made.settings.get("factor", 1)
    if made.method == "idm":
        return OwnLabels(partition(pictures, cells), partition_labels(labels, cells))
    return OwnLabels(pictures if pictures.shape[-1] == real.size else interpolated(made.images, real.size), labels)


class ExpandedClasses(ExpandedSource):
    """``ExpandedSource`` with the patches' classes for labels: no teacher is asked."""

    @torch.no_grad()
    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        make: Callable[[Tensor], Tensor] = self._maker(epoch)
        return torch.cat([make(part) for part in torch.arange(len(self)).split(self.batch)]), self.labels


def expanded_classes(
    made: DistilledSet, real: LabelledPictures, seed: int, engine: Engine, expansion: Expansion, batch: int = 64,
    device: str = "cpu",
) -> ExpandedClasses:  # fmt: skip
    """Patches expanded anew in every epoch, with hard labels."""
    return ExpandedClasses(
        engine, None, made.images, made.labels, classes=len(real.classes), size=real.size, seed=seed, expansion=expansion,
        batch=batch, device=torch.device(device),
    )  # fmt: skip
