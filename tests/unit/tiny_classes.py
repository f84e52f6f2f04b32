"""Three of the embedded photographs as classes, a few small crops of each, and a network that learns them in no time."""

import torch

from srdistill.catalogue.labelled_collections import load_labelled
from srdistill.images.labelled import LabelledPictures

NETWORK = {"architecture": "ConvNet", "depth": 2, "width": 8, "norm": "instance"}


def few_photos(per_class: int = 12, size: int = 16, classes: int = 3) -> LabelledPictures:
    """``per_class`` crops of ``size`` px of each of the first photographs."""
    found = load_labelled("photos", "train", size=size, per_class=per_class)
    chosen = found.labels < classes
    return LabelledPictures(found.images[chosen], found.labels[chosen], found.classes[:classes], "few photos")


def seeded(seed: int = 3) -> torch.Generator:
    """A generator of which only the seed counts."""
    return torch.Generator().manual_seed(seed)
