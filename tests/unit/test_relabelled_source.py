"""Several teachers as one, and what students of G-VBSM are given: pictures, mean logits, and classes."""

import pytest
import torch
from tiny_backbones import SIZE, tiny_photos, trained_backbones, untrained

from srdistill.images.pictures import to_float
from srdistill.papers.coreset.recovery.relabelled_source import relabelled
from srdistill.sets.distilled_set import DistilledSet
from srdistill.training.classification import train_student
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.ensemble import Ensemble
from srdistill.training.soft_labels import soft_labels
from srdistill.training.teacher_logits import TeacherError

VIEWS = ClassificationRecipe(40, batch=5, lr=1e-2, crop_scale=(0.08, 1.0), soft_loss="squares", hard_weight=0.15)


@pytest.fixture(scope="module")
def data():
    return tiny_photos()


@pytest.fixture(scope="module")
def backbones(data):
    return trained_backbones(data)


def made(data, count=12):
    return DistilledSet(data.images[:: len(data) // count], data.labels[:: len(data) // count], data.classes, "some")


def test_an_ensemble_says_the_mean(data, backbones):
    ensemble, images = Ensemble(backbones), to_float(data.images)
    with torch.no_grad():
        first, second = (network(images) for network in backbones)
    assert torch.allclose(ensemble(images), (first + second) / 2, atol=1e-6)
    assert ensemble.classes == data.classes and ensemble.size == SIZE
    soft_labels(ensemble, data.images, 4)
    assert not any(module.training for module in ensemble.modules())


def test_an_ensemble_of_nothing_or_of_strangers_is_refused(data, backbones):
    with pytest.raises(TeacherError, match="no networks; give one or more, trained on the same classes"):
        Ensemble([])
    other = tiny_photos(classes=3)
    with pytest.raises(TeacherError, match="network 2 .ConvNet. knows other classes than network 0"):
        Ensemble([*backbones, untrained(other)])


@pytest.mark.parametrize("cutmix", [True, False])
def test_labels_are_of_the_mixed_picture_and_classes_of_the_one_before(data, backbones, cutmix):
    """Pictures of one grey per class: without CutMix a picture shows its class, whatever the crop; with it, the order stays."""
    labels = torch.arange(12) // 3
    pictures = (20 + 60 * labels).to(torch.uint8)[:, None, None, None].repeat(1, 3, SIZE, SIZE)
    greys = DistilledSet(pictures, labels, data.classes, "greys")
    plain, mixed = (
        relabelled(greys, backbones, data, 5, ClassificationRecipe(2, batch=5, crop_scale=(0.08, 1.0), cutmix=on))
        for on in (False, cutmix)
    )
    for epoch in range(2):
        pictures, logits, classes = mixed(epoch)
        assert classes.dtype == torch.int64 and classes.shape == (12,) and logits.dtype == torch.float16
        unmixed = plain(epoch)[0]
        assert classes.tolist() == [round((int(picture[0, 0, 0]) - 20) / 60) for picture in unmixed]
        assert cutmix != torch.equal(pictures, unmixed)
        with torch.no_grad():
            expected = sum(network(to_float(pictures)) for network in backbones) / 2
        assert torch.allclose(logits.float(), expected, atol=2e-2)


def test_students_learn_from_both(data, backbones):
    source = relabelled(made(data), backbones, data, 0, VIEWS)
    training = ClassificationRecipe(
        40, batch=5, lr=1e-2, soft_loss="squares", hard_weight=0.15, shuffle=False, crop_scale=(1.0, 1.0), flip=False,
        cutmix=False,
    )  # fmt: skip
    history = train_student(untrained(data, "instance", 7), source, training, generator=torch.Generator())
    assert sum(history["loss"][-5:]) < 0.6 * sum(history["loss"][:5])
    again = train_student(untrained(data, "instance", 7), source, training, generator=torch.Generator())
    assert history == again
