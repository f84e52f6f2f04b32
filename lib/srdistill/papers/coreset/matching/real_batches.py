"""Batches of real pictures, in the units of the learned ones: class by class for matching, of all classes for training."""

import torch
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.papers.coreset.matching.units import Units
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError


class RealBatches:
    """Draws from ``real``; every draw depends on ``seed``, its purpose and its index alone.

    Raises SelectionError: a class is without pictures.
    """

    def __init__(self, real: LabelledPictures, units: Units, seed: int, device: torch.device):
        self.images, self.labels = real.images.to(device), real.labels.cpu()
        self.units, self.seed, self.device = units, seed, device
        self.members = [(self.labels == label).nonzero().flatten() for label in range(len(real.classes))]
        for name, members in zip(real.classes, self.members, strict=True):
            if not len(members):
                raise SelectionError(f"class {name!r} has no pictures to match; leave the class out, or give it some")

    def of_class(self, label: int, most: int, *index: int) -> Tensor:
        """At most ``most`` different pictures of a class, float (n, 3, S, S); all where it has fewer, as published."""
        members = self.members[label]
        draws = generator_for(self.seed, "real of a class", label, *index)
        return self.at(members[torch.randperm(len(members), generator=draws)[:most]])

    def of_all(self, most: int, *index: int) -> tuple[Tensor, Tensor]:
        """At most ``most`` different pictures of any class, and their labels (n,)."""
        chosen = torch.randperm(len(self.labels), generator=generator_for(self.seed, "real of all", *index))[:most]
        return self.at(chosen), self.labels[chosen].to(self.device)

    def at(self, index: Tensor) -> Tensor:
        """The pictures at these positions, float (n, 3, S, S)."""
        return self.units.normalised(to_float(self.images[index.to(self.images.device)].to(self.device)))
