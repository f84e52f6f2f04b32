"""G-VBSM's recovery: against a plain loop, what falls does fall, and a resumed run is an uninterrupted one."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_backbones import SIZE, tiny_photos, trained_backbones, untrained
from torch import nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.papers.coreset.recovery.conv_statistics import channel_moments, conv_moments, conv_statistics
from srdistill.papers.coreset.recovery.densification import densification
from srdistill.papers.coreset.recovery.gvbsm import GeneralRecovery, _Layer, gvbsm
from srdistill.seeds import generator_for
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged
from srdistill.training.teacher_logits import TeacherError, teacher_logits


@pytest.fixture(scope="module")
def data():
    return tiny_photos()


@pytest.fixture(scope="module")
def backbones(data):
    return trained_backbones(data)


def recover(data, backbones, ipc=2, checkpoint=None, seed=3, **settings):
    recovery = GeneralRecovery(**{"iterations": 6} | settings)
    draws = torch.Generator().manual_seed(seed)
    return gvbsm(data, backbones=backbones, ipc=ipc, generator=draws, recovery=recovery, checkpoint=checkpoint)


def test_is_the_plain_loop(data, backbones):
    """Two batches of pictures, two networks in turn, dropped layers and averages written out."""
    mean, spread = backbones[0].mean, backbones[0].std
    known, averages = [], []
    for number, network in enumerate(backbones):
        counted = conv_statistics(network, data, generator=generator_for(3, "G-VBSM statistics", number), padding=2)
        rows = []
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d):
                rows.append(counted[name])
            elif isinstance(layer, nn.BatchNorm2d):
                rows.append((layer.running_mean, layer.running_var))
        known.append(rows)
        averages.append([[0.0] * len(row) for row in rows])
    assert [len(rows) for rows in known] == [4, 2]
    expected, history, dropped = [], [], 0
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    for number, group in enumerate(labels.split(6)):
        pixels = torch.randn(len(group), 3, SIZE, SIZE, generator=generator_for(3, "G-VBSM start", number)).requires_grad_()
        optimizer = torch.optim.Adam([pixels], lr=0.05, betas=(0.5, 0.9))
        for step in range(5):
            turn = (number * 5 + step) % 2
            draws = generator_for(3, "G-VBSM view", number, step)
            top, left = torch.randint(5, (2,), generator=draws).tolist()
            view = F.pad(pixels, (2, 2, 2, 2))[..., top : top + SIZE, left : left + SIZE]
            view = view.flip(-1) if float(torch.rand((), generator=draws)) < 0.5 else view
            down, right = torch.randint(33, (2,), generator=draws).tolist()
            view = torch.roll(view, (down, right), (2, 3))
            network = backbones[turn]
            x = (view * spread + mean - network.mean) / network.std
            chances = torch.rand(2, generator=generator_for(3, "G-VBSM dropped", number, step)).tolist()
            matched, place = 0.0, 0
            for layer in network.body.features:
                if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
                    convolution = isinstance(layer, nn.Conv2d)
                    if convolution and chances.pop(0) < 0.4:
                        dropped += 1
                    else:
                        new = conv_moments(x) if convolution else channel_moments(x)
                        row = averages[turn][place]
                        for k, (target, one) in enumerate(zip(known[turn][place], new, strict=True)):
                            row[k] = 0.8 * row[k] + 0.2 * one.detach()
                            term = (target - row[k] - one + one.detach()).norm()
                            matched = matched + (10 if place == 0 else 1) * term
                    place += 1
                x = layer(x)
            entropy = F.cross_entropy(network.body.classifier(x.flatten(1)), group)
            loss = entropy + 0.01 * matched + densification(view, group)
            history.append(float(loss.detach()))
            optimizer.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * step / 5))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            pixels.data = ((pixels.data * spread + mean).clamp(0, 1) - mean) / spread
        expected.append((pixels.detach() * spread + mean).mul(255).round())
    assert 0 < dropped < 20
    found = recover(data, backbones, iterations=5, batch=6)
    assert (found.images.float() - torch.cat(expected)).abs().max() <= 1
    assert found.labels.tolist() == labels.tolist() and found.names == data.classes
    assert found.history["loss"] == pytest.approx(history, rel=1e-4)
    assert found.settings["layers"] == [4, 2] and found.settings["backbones"] == ["ConvNet", "ConvNet"]


def test_the_average_by_hand():
    """It starts at zero, and the gradient is that of the new moments as if they were all of it."""
    known = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5])
    layer = _Layer(nn.Identity(), known, channel_moments, 1.0, keep=0.8)
    draws = torch.Generator().manual_seed(0)
    first, second = (torch.randn(3, 2, 4, 4, generator=draws).requires_grad_() for _ in range(2))
    distance = layer.distance(first)
    averages = [0.2 * one.detach() for one in channel_moments(first)]
    assert distance.item() == pytest.approx(sum((a - b).norm().item() for a, b in zip(known, averages, strict=True)))
    distance = layer.distance(second)
    averages = [0.8 * old + 0.2 * one.detach() for old, one in zip(averages, channel_moments(second), strict=True)]
    assert all(torch.allclose(a, b) for a, b in zip(layer.average, averages, strict=True))
    lengths = [(a - b).norm() for a, b in zip(averages, known, strict=True)]
    assert distance.item() == pytest.approx(sum(lengths).item())
    (found,) = torch.autograd.grad(distance, second)
    directions = [(a - b) / length for a, b, length in zip(averages, known, lengths, strict=True)]
    aimed = sum((one * direction).sum() for one, direction in zip(channel_moments(second), directions, strict=True))
    assert torch.allclose(found, torch.autograd.grad(aimed, second)[0], atol=1e-7)


def test_the_loss_falls_and_all_backbones_see_the_class(data, backbones):
    found = recover(data, backbones, ipc=1, iterations=300, lr=0.1)
    assert found.history["loss"][-1] < 0.8 * found.history["loss"][0]
    assert found.history["statistics"][-1] < 0.8 * found.history["statistics"][0]
    assert found.history["densification"] == [0.0] * 10
    chance = recover(data, backbones, ipc=1, iterations=1, lr=1e-6)
    for network in backbones:
        good, bad = (
            F.cross_entropy(teacher_logits(network, to_float(made.images), classes=4), made.labels) for made in (found, chance)
        )
        assert float(good) < 0.5 * float(bad)


def test_without_its_weights_only_the_class_counts(data, backbones):
    plain = recover(data, backbones, statistics=0, densification=0)
    assert plain.history["loss"] == plain.history["cross_entropy"] and plain.history["statistics"][0] > 0


def test_dropped_terms_are_missing(data, backbones):
    """Without BatchNorm all terms may be: then nothing but the class is left, and no average moves."""
    instance = backbones[1:]
    all_there = recover(data, instance, ipc=1, dropped=0)
    nearly_none = recover(data, instance, ipc=1, dropped=1 - 1e-9)
    assert all_there.history["statistics"][0] > 1 and not any(nearly_none.history["statistics"])
    assert nearly_none.history["loss"] == nearly_none.history["cross_entropy"]
    with_norm = recover(data, backbones[:1], ipc=1, dropped=1 - 1e-9)
    assert with_norm.history["statistics"][0] > 0


def test_the_same_seed_gives_the_same_pictures(data, backbones):
    first = recover(data, backbones)
    torch.manual_seed(9)
    again, other = recover(data, backbones), recover(data, backbones, seed=4)
    assert torch.equal(first.images, again.images) and first.history == again.history
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize(("at", "every"), [(1, 2), (3, 2), (5, 2), (9, 5), (12, 5)])
def test_resumed_is_uninterrupted(data, backbones, tmp_path, interrupt, at, every):
    """In the first batch of pictures, between two, and in the last."""
    whole = recover(data, backbones, iterations=5, batch=3)
    checkpoint = Checkpoint(tmp_path / "gvbsm.pt", "one", every)
    interrupt(resumable, at)
    with pytest.raises(KeyboardInterrupt):
        recover(data, backbones, iterations=5, batch=3, checkpoint=checkpoint)
    assert checkpoint.path.exists() == (at >= every)
    interrupt(resumable, None)
    resumed = recover(data, backbones, iterations=5, batch=3, checkpoint=checkpoint)
    assert torch.equal(whole.images, resumed.images) and whole.history == resumed.history
    assert not checkpoint.path.exists()


def test_the_backbones_are_left_as_they_were(data):
    for weights in (True, False):
        network = untrained(data).train(weights).requires_grad_(weights)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        recover(data, [network], iterations=2)
        assert network.training == weights and all(p.requires_grad == weights for p in network.parameters())
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
        assert not any(module._forward_pre_hooks for module in network.modules())


def test_backbones_that_do_not_fit(data, backbones):
    with pytest.raises(TeacherError, match="no networks; give one or more"):
        recover(data, [])
    renamed = LabelledPictures(data.images, data.labels, data.classes[::-1], "reversed")
    with pytest.raises(TeacherError, match="network 1 .ConvNet. knows other classes than network 0, or in another order"):
        recover(data, [backbones[0], untrained(renamed)])
    with pytest.raises(TeacherError, match="the backbones know other classes than reversed, or in another order"):
        recover(renamed, backbones)
    smaller = LabelledPictures(data.images[..., :8, :8], data.labels, data.classes, "small")
    with pytest.raises(TeacherError, match="the backbones take pictures of 16 px, small has 8 px"):
        recover(smaller, backbones)
    with pytest.raises(TeacherError, match=r"network 1 .* takes pictures of 8 px and network 0 of 16 px"):
        recover(data, [backbones[0], untrained(smaller)])
    sick = untrained(data)
    sick.body.features[1].running_var[0] = math.nan
    with pytest.raises(TeacherError, match="gives NaN or infinity for pictures of tiny photos"):
        recover(data, [backbones[0], sick])
    linear = untrained(data)
    linear.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 4))
    with pytest.raises(TeacherError, match="backbone 1 .* neither convolutions nor BatchNorm .* leave it out"):
        recover(data, [backbones[0], linear])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ipc": 0}, "ipc .* got 0"),
        ({"iterations": 0}, "1 or more and roll 0 or more, got 0, 100, 64 and 32"),
        ({"roll": -1}, "roll 0 or more, got 6, 100, 64 and -1"),
        ({"lr": 0}, "lr and temperature must be above 0, got 0 and 4.0"),
        ({"temperature": math.nan}, "lr and temperature must be above 0"),
        ({"statistics": math.inf}, "must be 0 or more, got"),
        ({"densification": -1.0}, "must be 0 or more, got"),
        ({"dropped": 1.0}, "shares, from 0 to below 1, got"),
        ({"average": -0.1}, "shares, from 0 to below 1, got"),
    ],
)
def test_impossible_settings_are_refused(data, backbones, settings, message):
    with pytest.raises(ValueError, match=message):
        recover(data, backbones, **settings)


def test_losses_that_are_no_numbers(data, backbones):
    with pytest.raises(Diverged, match=r"G-VBSM, 1 pictures per class: the loss became inf by step 1; lower lr \(0.05\)"):
        recover(data, backbones, ipc=1, iterations=1, statistics=3e38)
    # Of several NaN pictures of a class there may be no eigenvalues: then it is known at once.
    with pytest.raises(Diverged, match=r"(pictures in the making became NaN|the loss became nan by step 4); lower lr \(0.05\)"):
        recover(data, backbones, ipc=3, iterations=40, statistics=3e38)
