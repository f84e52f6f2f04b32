"""SRe2L: against a plain loop, what falls does fall, and a resumed run is an uninterrupted one."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_teacher import NAMES, TinyTeacher, photo_classes, trained_teacher
from torch import nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.images.resized_crops import draw_boxes
from srdistill.networks.classifiers import IMAGENET_MEAN, IMAGENET_STD
from srdistill.papers.coreset.recovery.sre2l import Recovery, sre2l
from srdistill.seeds import generator_for
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged
from srdistill.training.teacher_logits import TeacherError

SIZE = 24


@pytest.fixture(scope="module")
def teacher(train_photos):
    return trained_teacher(*photo_classes(train_photos))


# Of the pictures only size and classes count.
REAL = LabelledPictures(torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8), torch.arange(3), NAMES)


def recover(teacher, ipc=2, checkpoint=None, **settings):
    recovery = Recovery(**{"iterations": 6} | settings)
    draws = torch.Generator().manual_seed(3)
    return sre2l(REAL, teacher=teacher, ipc=ipc, generator=draws, recovery=recovery, checkpoint=checkpoint)


def distances(teacher, images):
    """Means and variances of each BatchNorm layer's input against the layer's, written out."""
    found, x = [], (images - teacher.mean) / teacher.std
    for layer in teacher.body:
        if isinstance(layer, nn.BatchNorm2d):
            flat = x.movedim(1, 0).flatten(1)
            spread = (flat - flat.mean(1, keepdim=True)).square().mean(1)
            found.append((spread - layer.running_var).norm() + (flat.mean(1) - layer.running_mean).norm())
        x = layer(x)
    return found


def test_is_the_plain_loop(teacher):
    mean, spread = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    expected = []
    for number in range(2):
        pixels = torch.randn(3, 3, SIZE, SIZE, generator=generator_for(3, "SRe2L start", number)).requires_grad_()
        optimizer = torch.optim.Adam([pixels], lr=0.25, betas=(0.5, 0.9))
        for step in range(6):
            draws = generator_for(3, "SRe2L view", number, step)
            top, left, height, width = draw_boxes(1, SIZE, draws, ratio=(3 / 4, 4 / 3))[0].tolist()
            crop = pixels[..., top : top + height, left : left + width]
            view = F.interpolate(crop, (SIZE, SIZE), mode="bilinear", antialias=True)
            view = view.flip(-1) if float(torch.rand((), generator=draws)) < 0.5 else view
            images = view * spread + mean
            first, second = distances(teacher, images)
            loss = F.cross_entropy(teacher(images), torch.arange(3)) + 0.01 * (10 * first + second)
            optimizer.param_groups[0]["lr"] = 0.25 * 0.5 * (1 + math.cos(math.pi * step / 6))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            pixels.data = ((pixels.data * spread + mean).clamp(0, 1) - mean) / spread
        expected.append((pixels.detach() * spread + mean).mul(255).round())
    found = recover(teacher)
    plain = torch.stack(expected, dim=1).flatten(0, 1)  # class after class
    assert (found.images.float() - plain).abs().max() <= 1
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2] and found.names == NAMES
    assert found.settings["iterations"] == 6 and found.settings["layers"] == 2


def test_the_loss_falls_and_statistics_come_closer(teacher):
    found = recover(teacher, ipc=1, iterations=150)
    assert found.history["loss"][-1] < 0.7 * found.history["loss"][0]
    start = torch.randn(3, 3, SIZE, SIZE, generator=generator_for(3, "SRe2L start", 0))
    noise = (start * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)).clamp(0, 1)
    with torch.no_grad():
        before, after = (sum(distances(teacher, images)) for images in (noise, to_float(found.images)))
        assert float(after) < 0.5 * float(before)
        assert bool((teacher(to_float(found.images)).argmax(1) == found.labels).all())


def test_without_statistics_only_the_class_counts(teacher):
    plain = recover(teacher, ipc=1, iterations=40, statistics=0)
    assert plain.history["loss"] == plain.history["cross_entropy"] and plain.history["statistics"][0] > 0


@pytest.mark.parametrize("every", [2, 5])
@pytest.mark.parametrize("at", [1, 3, 5, 9, 12, 19])
def test_resumed_is_uninterrupted(teacher, tmp_path, interrupt, at, every):
    """In the first batch of pictures, between two, and in the last."""
    whole = recover(teacher, iterations=5, batch=2)
    checkpoint = Checkpoint(tmp_path / "sre2l.pt", "one", every)
    interrupt(resumable, at)
    with pytest.raises(KeyboardInterrupt):
        recover(teacher, iterations=5, batch=2, checkpoint=checkpoint)
    assert checkpoint.path.exists() == (at >= every)
    interrupt(resumable, None)
    resumed = recover(teacher, iterations=5, batch=2, checkpoint=checkpoint)
    assert torch.equal(whole.images, resumed.images) and whole.history == resumed.history
    assert not checkpoint.path.exists()


def test_a_teacher_without_batch_norm_is_named():
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    with pytest.raises(TeacherError, match=r"\(Sequential\) has no BatchNorm2d layer .* use a teacher with BatchNorm"):
        recover(plain)


def test_the_teacher_is_left_as_it_was(teacher):
    for weights in (True, False):
        other = TinyTeacher().train(weights).requires_grad_(weights)
        before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
        recover(other, iterations=2)
        assert other.training == weights and all(p.requires_grad == weights for p in other.parameters())
        assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())
        assert not other.body[1]._forward_pre_hooks


def test_impossible_settings_are_refused(teacher):
    for settings, error, message in [
        ({"ipc": 0}, ValueError, "ipc .* got 0"),
        ({"iterations": 0}, ValueError, "1 or more, got 0 and 100"),
        ({"lr": 0}, ValueError, "lr must be above 0"),
        ({"statistics": math.nan}, ValueError, "got 0.25, nan"),
        ({"lowest": 0}, ValueError, "share of the area, in .* got 0"),
    ]:
        with pytest.raises(error, match=message):
            recover(teacher, **settings)
    with pytest.raises(TeacherError, match=r"logits \(3, 5\) for 3 pictures of 3 classes"):
        recover(TinyTeacher(5))


def test_nan_is_named(teacher):
    sick = TinyTeacher()
    sick.head.bias.data[1] = math.nan
    with pytest.raises(Diverged, match=r"became nan by step 1; lower lr \(0.25\)"):
        recover(sick)
