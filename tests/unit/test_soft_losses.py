"""Losses of students beside the divergence: squares of logits, and hard labels next to soft ones."""

import math

import pytest
import torch
import torch.nn.functional as F

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import build_classifier
from srdistill.seeds import generator_for
from srdistill.training.augmentation import augment
from srdistill.training.classification import train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.soft_labels import soft_labels


@pytest.fixture(scope="module")
def data():
    return photo_classes("train", size=16, per_class=2)


@pytest.fixture(scope="module")
def teacher(data):
    return build(data, seed=1, width=16).eval()


def build(data, seed=0, width=8):
    return build_classifier("ConvNet", classes=data.classes, size=16, seed=seed, width=width, depth=2, norm="instance")


def recipe(**changes):
    return ClassificationRecipe(**{"epochs": 1, "batch": 22, "lr": 5e-3, "soft_loss": "squares", "hard_weight": 0.15} | changes)


def train(network, made, plan, **options):
    return train_student(network, lambda epoch: made, plan, generator=torch.Generator().manual_seed(7), **options)


def mixed_batch(data, plan):
    order = torch.randperm(22, generator=generator_for(7, "order", 0))
    return order, augment(to_float(data.images[order]), plan, generator_for(7, "augmentation", 0, 0))


@pytest.mark.parametrize("weight", [0.0, 0.15])
def test_squares_and_the_class_before_cutmix(data, teacher, weight):
    """The teacher says logits of the mixed picture, the hard label stays the picture's own."""
    plan, ours = recipe(hard_weight=weight), build(data)
    order, batch = mixed_batch(data, plan)
    assert batch.share < 1
    logits, wanted = ours(batch.images).detach(), teacher(batch.images).detach()
    squares = sum((a - b) ** 2 for a, b in zip(logits.flatten().tolist(), wanted.flatten().tolist(), strict=True)) / (22 * 11)
    own = data.labels[order].tolist()
    entropy = -sum(F.log_softmax(row, 0)[label].item() for row, label in zip(logits, own, strict=True)) / 22
    history = train(ours, (data.images, data.labels), plan, teacher=teacher)
    assert history["loss"][0] == pytest.approx(squares + weight * entropy, rel=1e-5)


def test_labels_of_a_source_enter_as_those_of_a_teacher(data, teacher):
    """Without CutMix, and without augmentation: logits and classes as two parts of what a source gives."""
    plan = recipe(epochs=3, crop_scale=(1.0, 1.0), flip=False, cutmix=False)
    online, stored = build(data), build(data)
    first = train(online, (data.images, data.labels), plan, teacher=teacher)
    second = train(stored, (data.images, soft_labels(teacher, data.images, 11), data.labels), plan)
    assert second["loss"] == pytest.approx(first["loss"], rel=1e-3)  # half precision


def test_the_divergence_takes_hard_labels_too(data, teacher):
    plans = [recipe(soft_loss="divergence", hard_weight=weight) for weight in (0.0, 1.0)]
    plain, both = (train(build(data), (data.images, data.labels), plan, teacher=teacher)["loss"][0] for plan in plans)
    order, batch = mixed_batch(data, recipe())
    entropy = F.cross_entropy(build(data)(batch.images), data.labels[order]).item()
    assert both - plain == pytest.approx(entropy, rel=1e-4)


def test_without_weight_the_third_part_changes_nothing(data, teacher):
    logits, plan = soft_labels(teacher, data.images, 11), ClassificationRecipe(2, batch=8)
    two, three = build(data), build(data)
    assert train(two, (data.images, logits), plan) == train(three, (data.images, logits, data.labels), plan)
    assert all(torch.equal(a, b) for a, b in zip(two.parameters(), three.parameters(), strict=True))


@pytest.mark.parametrize("labels", ["no hard ones", "no soft ones", "too large"])
def test_a_weight_without_labels_is_refused(data, teacher, labels):
    logits = soft_labels(teacher, data.images, 11)
    made, message = {
        "no hard ones": ((data.images, logits), r"hard_weight is 0.15, which needs int64 labels \(22,\) beside soft ones"),
        "no soft ones": ((data.images, data.labels), "give both, or set hard_weight to 0"),
        "too large": ((data.images, logits, data.labels + 1), "labels must lie in 0..10, got 1..11"),
    }[labels]
    with pytest.raises(ValueError, match=message):
        train(build(data), made, recipe())


def test_impossible_losses_are_refused():
    with pytest.raises(ValueError, match="soft_loss is 'mse'; it can be divergence, squares"):
        recipe(soft_loss="mse")
    for weight in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="hard_weight must be 0 or more"):
            recipe(hard_weight=weight)
