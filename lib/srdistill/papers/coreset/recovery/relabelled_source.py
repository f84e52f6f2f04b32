"""Labels of G-VBSM's students (Shao et al., CVPR 2024; protocol notes, sections 7.4 and 7.5): what all backbones say of a mixed
picture, and the class that it had before."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.expanding.expanded_source import PlainSource
from srdistill.sets.distilled_set import DistilledSet
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.ensemble import Ensemble


class RelabelledSource(PlainSource):
    """``PlainSource`` with a third part: pictures, the teacher's logits, and classes.

    Of an ``Ensemble`` the logits are the mean of its networks'. Classes are those of the pictures before CutMix, int64 (N,), in
    the same order.
    """

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        pictures, logits = super().__call__(epoch)
        return pictures, logits, self.labels[torch.cat(self.batches(epoch))]


def relabelled(
    made: DistilledSet, teacher: Sequence[Classifier], real: LabelledPictures, seed: int, views: ClassificationRecipe,
    device: str = "cpu",
) -> RelabelledSource:  # fmt: skip
    """The images, augmented as ``views`` says, labelled by all networks of ``teacher``, with their classes: for recipes with
    ``hard_weight``. Published views crop 0.08 to 1 of the area, flip, and mix every batch by CutMix."""
    return RelabelledSource(
        Ensemble(teacher), made.images, made.labels, classes=len(real.classes), size=real.size, seed=seed, views=views,
        device=torch.device(device),
    )  # fmt: skip
