"""Patches that a teacher is surest of, and collages of them: against a plain loop over single crops."""

import importlib
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tiny_teacher import NAMES, SIZE, TinyTeacher, photo_classes, trained_teacher

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import PictureError, to_float
from srdistill.images.resized_crops import draw_boxes
from srdistill.networks.classifiers import IMAGENET_MEAN, build_classifier
from srdistill.papers.coreset.expanding.collages import collages
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches, padded, random_coreset
from srdistill.papers.coreset.expanding.no_patches import no_patches
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError, SetError
from srdistill.sets.random_crops import random_crops
from srdistill.training.teacher_logits import TeacherError, teacher_logits


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def data(train_photos):
    return photo_classes(train_photos)


@pytest.fixture(scope="module")
def teacher(data):
    return trained_teacher(*data)


def select(data, teacher, **settings):
    settings = {"ipc": 2, "factor": 2, "crops": 3, "generator": generator()} | settings
    return coreset_patches(LabelledPictures(*data, NAMES), teacher=teacher, **settings)


def collage(patches, size=SIZE, **settings):
    real = LabelledPictures(torch.zeros(3, 3, size, size, dtype=torch.uint8), torch.arange(3), NAMES)
    return collages(real, patches=patches, generator=generator(), **settings)


@pytest.mark.parametrize("factor, batch", [(2, 5), (3, 64)])
def test_is_the_plain_loop_over_crops(data, teacher, factor, batch):
    images, labels = data
    crops, ipc, size = 3, 1, SIZE // factor
    boxes = draw_boxes(len(images) * crops, SIZE, generator_for(0, "coreset crops")).tolist()
    expected = []
    order = [i for label in range(3) for i in range(len(images)) if labels[i] == label]
    for label in range(3):
        best = []
        for place, index in enumerate(order):
            if labels[index] != label:
                continue
            scored = []
            for top, left, height, width in boxes[place * crops : (place + 1) * crops]:
                crop = images[index : index + 1, :, top : top + height, left : left + width] / 255.0
                patch = F.interpolate(crop, (size, size), mode="bilinear", antialias=True).mul(255).round()
                canvas = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).repeat(1, 1, SIZE, SIZE)
                at = (SIZE - size) // 2
                canvas[..., at : at + size, at : at + size] = patch / 255
                loss = F.cross_entropy(teacher(canvas).double(), labels[index : index + 1])
                scored.append((float(loss), patch[0]))
            best.append(min(scored, key=lambda pair: pair[0]))
        expected += [patch for _, patch in sorted(best, key=lambda pair: pair[0])[: ipc * factor**2]]
    found = select(data, teacher, ipc=ipc, factor=factor, crops=crops, batch=batch)
    # Rounding at half a level may differ by one.
    assert (found.images.float() - torch.stack(expected)).abs().max() <= 1
    assert found.labels.tolist() == [label for label in range(3) for _ in range(ipc * factor**2)]


def test_what_is_kept_and_recorded(data, teacher):
    found = select(data, teacher, pool=10)
    assert found.images.shape == (24, 3, 16, 16) and found.names == NAMES
    assert found.sizes.pixels == 2 * 3 * SIZE * SIZE  # as many as two whole pictures of each class
    assert found.settings["loss"] < select(data, teacher, pool=10, crops=1).settings["loss"]
    assert {"ipc": 2, "factor": 2, "size": 16, "crops": 3, "pool": 10}.items() <= found.settings.items()
    assert found.settings["padding"] == pytest.approx(IMAGENET_MEAN)
    assert torch.equal(found.images, select(data, teacher, pool=10, batch=3).images)
    assert not torch.equal(found.images, select(data, teacher, pool=10, generator=generator(1)).images)
    assert bool((scores(teacher, found).view(3, 8).diff(dim=1) > -1e-5).all())
    assert float(scores(teacher, found).mean()) == pytest.approx(found.settings["loss"], abs=1e-5)


def scores(teacher, made):
    """Cross entropy of every patch as the teacher was shown it, (N,)."""
    shown = padded(to_float(made.images), SIZE, tuple(teacher.mean.flatten().tolist()))
    return F.cross_entropy(teacher_logits(teacher, shown, classes=3), made.labels, reduction="none")


def test_the_padding_is_what_the_teacher_subtracts(data):
    """Another mean, other borders: after normalisation they are zero, as RDED's."""
    teacher = build_classifier("ConvNet", classes=NAMES, size=SIZE, seed=0, width=8, mean=(0.3, 0.6, 0.1))
    seen = []
    handle = teacher.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    found = select(data, teacher)
    handle.remove()
    border = torch.ones(SIZE, SIZE, dtype=torch.bool)
    border[8:24, 8:24] = False
    assert found.settings["padding"] == pytest.approx((0.3, 0.6, 0.1))
    assert all(part[..., border].abs().max() < 1e-6 and part[..., ~border].abs().max() > 0.1 for part in seen)


def test_random_patches_have_the_same_budget_and_come_from_different_pictures(data, teacher):
    control = random_coreset(LabelledPictures(*data, NAMES), ipc=2, factor=2, generator=generator())
    found = select(data, teacher)
    assert control.images.shape == found.images.shape and torch.equal(control.labels, found.labels)
    assert control.settings["ipc"] == 2 and len({image.numpy().tobytes() for image in control.images}) == 24
    assert float(scores(teacher, control).mean()) > found.settings["loss"]


@pytest.mark.parametrize("factor, size", [(2, 32), (3, 32)])
def test_collages_spread_the_ranks_over_the_pictures(data, teacher, factor, size):
    patches = select(data, teacher, ipc=2 if factor == 2 else 1, factor=factor)
    ipc = patches.settings["ipc"]
    made = collage(patches, size=size)
    assert made.images.shape == (3 * ipc, 3, size, size) and made.labels.tolist() == [c for c in range(3) for _ in range(ipc)]
    edges = np.cumsum([0] + [size // factor + (index < size % factor) for index in range(factor)])
    for label in range(3):
        for image in range(ipc):
            for k in range(factor**2):
                row, column = divmod(k, factor)
                cell = made.images[label * ipc + image][
                    :, edges[row] : edges[row + 1], edges[column] : edges[column + 1]
                ].float()
                patch = patches.images[label * ipc * factor**2 + k * ipc + image].float()
                plain = F.interpolate(patch[None], cell.shape[1:])[0]
                assert torch.equal(cell, plain)


def test_collages_are_stored_as_jpeg_if_asked(data, teacher, tmp_path):
    patches = select(data, teacher)
    plain, stored = collage(patches, size=32), collage(patches, size=32, jpeg=75)
    Image.fromarray(plain.images[1].permute(1, 2, 0).numpy()).save(tmp_path / "one.jpg")  # 75 is Pillow's own
    assert np.array_equal(np.array(Image.open(tmp_path / "one.jpg")), stored.images[1].permute(1, 2, 0).numpy())
    assert not torch.equal(plain.images, stored.images) and stored.settings["jpeg"] == 75
    with pytest.raises(ValueError, match="1 to 95, got 100"):
        collage(patches, size=32, jpeg=100)
    with pytest.raises(ValueError, match="pictures of 1 px have no 2 cells"):
        collage(patches, size=1)


def test_collages_of_other_sets_are_refused(pictures):
    with pytest.raises(SetError, match="made by 'random_crops' has no factor; give that of coreset_patches"):
        collage(random_crops(pictures, ipc=1, size=8, generator=generator()), size=16)


def test_too_few_pictures_are_named(data, teacher):
    with pytest.raises(SelectionError, match="class 'astronaut' has 12 pictures, fewer than the 300 asked for; lower pool"):
        select(data, teacher, pool=300)
    with pytest.raises(SelectionError, match="factor squared is 16 patches.*only 12 pictures"):
        select(data, teacher, ipc=4)
    with pytest.raises(SelectionError, match="has 12 pictures, fewer than the 16"):
        random_coreset(LabelledPictures(*data, NAMES), ipc=4, factor=2, generator=generator())
    with pytest.raises(SelectionError, match="class 'cat' has 0 pictures"):
        more = LabelledPictures(*data, (*NAMES, "cat"))
        coreset_patches(more, teacher=TinyTeacher(4), ipc=1, factor=1, pool=1, generator=generator())


def test_impossible_settings_are_refused(data, teacher):
    for settings, error, message in [
        ({"factor": 40}, PictureError, "factor 40 leaves no pixel of pictures of 32 px"),
        ({"factor": 0}, SelectionError, "factor must be 1 or more, got 0"),
        ({"ipc": 0}, ValueError, "ipc .* got 0"),
        ({"crops": 0}, SelectionError, "crops and batch must be 1 or more, got 0 and 64"),
    ]:
        with pytest.raises(error, match=message):
            select(data, teacher, **settings)


def test_a_teacher_that_does_not_fit_is_named(data):
    with pytest.raises(TeacherError, match=r"logits \(16, 5\) for 16 pictures of 3 classes; use the teacher of"):
        select(data, TinyTeacher(classes=5))
    broken = TinyTeacher()
    broken.head.bias.data[1] = math.nan
    with pytest.raises(TeacherError, match="NaN or infinity for 108 of 108 pictures, first picture 0"):
        select(data, broken)
    # Without global pooling it reads pictures of its own size alone; patches are shown to it in pictures of that size.
    assert len(select(data, build_classifier("ConvNet", classes=NAMES, size=SIZE, seed=0, width=8))) == 24
    with pytest.raises(TeacherError, match="cannot read pictures of 32 x 32 px"):
        select(data, build_classifier("ConvNet", classes=NAMES, size=SIZE // 2, seed=0, width=8))


def test_a_teacher_is_left_in_its_mode(data):
    teacher = TinyTeacher().train()
    select(data, teacher)
    assert teacher.training


def test_without_patches_nothing_is_stored(tmp_path):
    real = LabelledPictures(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.arange(3), NAMES)
    made = no_patches(real, ipc=2, factor=2, generator=generator())
    assert made.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8 and made.names == NAMES
    assert vars(made.sizes) == {"images": 0, "pixels": 0, "lossless_bytes": 0, "total_bytes": 24 * 4}
    made.save(tmp_path / "set.safetensors")
    again = type(made).load(tmp_path / "set.safetensors")
    assert again.digest == made.digest and again.images.shape == (24, 3, 0, 0)
    folder = made.export(tmp_path / "exported")
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    with pytest.raises(SelectionError, match="factor must be 1 or more, got 0"):
        no_patches(real, ipc=1, factor=0, generator=generator())


def test_how_many_the_teacher_is_asked_at_a_time_does_not_matter(data, teacher, monkeypatch):
    """Chunks that fit the cache: the same patches as from all crops together."""
    usual, sizes = select(data, teacher), []
    module = importlib.import_module("srdistill.papers.coreset.expanding.coreset_patches")
    monkeypatch.setattr(module, "teacher_logits", lambda *asked, **settings: teacher_logits(*asked, batch=108, **settings))
    assert torch.equal(select(data, teacher).images, usual.images)
    monkeypatch.undo()
    hook = teacher.register_forward_hook(lambda module, asked, answer: sizes.append(len(answer)))
    select(data, teacher)
    hook.remove()
    assert max(sizes) == 16  # of 32 px; a layer's output of more leaves the cache of a core
