"""Small networks trained on crops of photographs, for tests of what recovers pictures from several of them."""

import torch

from srdistill.catalogue.labelled_collections import load_labelled
from srdistill.images.labelled import LabelledPictures
from srdistill.networks.classifiers import Classifier, build_classifier
from srdistill.training.classification import train_classifier
from srdistill.training.classification_recipe import ClassificationRecipe

SIZE = 16


def tiny_photos(classes: int = 4, per_class: int = 12) -> LabelledPictures:
    """Crops of 16 px of the first few embedded photographs."""
    found = load_labelled("photos", "train", size=SIZE, per_class=per_class)
    kept = found.labels < classes
    return LabelledPictures(found.images[kept], found.labels[kept], found.classes[:classes], "tiny photos")


def untrained(data: LabelledPictures, norm: str = "batch", seed: int = 0, **settings) -> Classifier:
    """A ConvNet of two layers."""
    mean, std = data.statistics
    sizes = {"width": 8, "depth": 2, "norm": norm} | settings
    return build_classifier("ConvNet", classes=data.classes, size=data.size, seed=seed, mean=mean, std=std, **sizes)


def trained_backbones(data: LabelledPictures) -> list[Classifier]:
    """One with BatchNorm and one without, fitted in a second."""
    recipe = ClassificationRecipe(15, batch=12, lr=1e-2, schedule="full cosine", cutmix=False)
    found = [untrained(data, norm, seed) for seed, norm in enumerate(("batch", "instance"))]
    for network in found:
        train_classifier(network, data, recipe, generator=torch.Generator().manual_seed(0))
        network.requires_grad_(False)
    return found
