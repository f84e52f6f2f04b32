"""Moments of what convolutions are given: against loops, over one pass, and what cannot be counted."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_backbones import tiny_photos, untrained
from torch import nn

from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.recovery.conv_statistics import channel_moments, conv_moments, conv_statistics, patch_moments
from srdistill.seeds import generator_for
from srdistill.training.teacher_logits import TeacherError


@pytest.fixture(scope="module")
def data():
    return tiny_photos(classes=3, per_class=4)


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def plain(values):
    """Mean and biased variance of a list of numbers."""
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / len(values)


def test_channel_moments_are_those_of_all_pixels_of_a_channel():
    features = noise(3, 2, 5, 4)
    mean, variance = channel_moments(features)
    for channel in range(2):
        expected = plain(features[:, channel].flatten().tolist())
        assert (float(mean[channel]), float(variance[channel])) == pytest.approx(expected)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (4, 4), (6, 8), (8, 7), (3, 5), (1, 2)])
def test_patch_moments_are_those_of_every_place(height, width):
    features = noise(2, 3, height, width)
    up = [math.ceil(side / 4) * 4 for side in (height, width)]
    stretched = F.interpolate(features, up, mode="bilinear")
    mean, variance = patch_moments(features)
    cells = [
        stretched[:, :, y : y + 4, x : x + 4].flatten().tolist() for y in range(0, up[0], 4) for x in range(0, up[1], 4)
    ]  # fmt: skip
    assert len(mean) == len(variance) == len(cells)
    assert [(a, b) for a, b in zip(mean.tolist(), variance.tolist(), strict=True)] == [
        pytest.approx(plain(cell)) for cell in cells
    ]


def test_moments_have_the_gradients_of_their_formulas():
    assert torch.autograd.gradcheck(conv_moments, noise(2, 2, 3, 5).requires_grad_())


def test_one_pass_is_the_plain_loop(data):
    """Twelve pictures in batches of five, five and two, augmented one by one."""
    network = untrained(data)
    found = conv_statistics(network, data, generator=torch.Generator().manual_seed(4), padding=2, batch=5)
    order = torch.randperm(12, generator=generator_for(4, "order of conv statistics"))
    totals = {name: [0.0] * 4 for name in ("body.features.0", "body.features.4")}
    for number, index in enumerate(order.split(5)):
        draws = generator_for(4, "views of conv statistics", number)
        places = torch.randint(5, (2, len(index), 1), generator=draws)
        flips = torch.rand(len(index), 1, generator=draws) < 0.5
        views = []
        for k, picture in enumerate(index.tolist()):
            bordered = torch.zeros(3, 20, 20)
            bordered[:, 2:18, 2:18] = data.images[picture] / 255.0
            top, left = places[:, k, 0].tolist()
            view = bordered[:, top : top + 16, left : left + 16]
            views.append(view.flip(-1) if flips[k] else view)
        first = (torch.stack(views) - network.mean) / network.std
        with torch.no_grad():
            second = network.eval().body.features[:4](first)
        for name, features in zip(totals, (first, second), strict=True):
            moments = channel_moments(features) + patch_moments(features)
            totals[name] = [old + one * len(index) / 12 for old, one in zip(totals[name], moments, strict=True)]
    assert list(found) == list(totals)
    for name, moments in totals.items():
        for ours, expected in zip(found[name], moments, strict=True):
            assert ours.dtype == torch.float32 and torch.allclose(ours, expected, atol=1e-5), name


def test_the_same_seed_gives_the_same_numbers(data):
    def run(seed):
        return conv_statistics(untrained(data), data, generator=torch.Generator().manual_seed(seed), batch=5)

    first = run(0)
    torch.manual_seed(9)
    again, other = run(0), run(1)
    for name, moments in first.items():
        assert all(torch.equal(a, b) for a, b in zip(moments, again[name], strict=True))
        assert not torch.equal(moments[3], other[name][3])


def test_the_network_is_left_as_it_was(data):
    for training in (True, False):
        network = untrained(data).train(training).requires_grad_(training)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        conv_statistics(network, data, generator=torch.Generator())
        assert network.training == training and all(p.requires_grad == training for p in network.parameters())
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
        assert not any(module._forward_pre_hooks for module in network.modules())


def test_what_cannot_be_counted(data):
    sick = untrained(data)
    sick.body.classifier.bias.data[0] = math.nan
    with pytest.raises(TeacherError, match="the ConvNet gives NaN or infinity for pictures of tiny photos; train it anew"):
        conv_statistics(sick, data, generator=torch.Generator())
    fewer = LabelledPictures(data.images, data.labels.clamp(max=1), data.classes[:2], "two")
    with pytest.raises(TeacherError, match=r"logits \(12, 3\) for 12 pictures of 2 classes"):
        conv_statistics(untrained(data), fewer, generator=torch.Generator())
    with pytest.raises(ValueError, match="batch must be 1 or more and padding 0 or more, got 0 and 4"):
        conv_statistics(untrained(data), data, generator=torch.Generator(), batch=0)
    linear = untrained(data)
    linear.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 3))
    assert conv_statistics(linear, data, generator=torch.Generator()) == {}
