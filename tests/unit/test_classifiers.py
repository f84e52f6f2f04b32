"""Classifiers: parameter counts, the normalisation inside, reproducible starts, bad settings."""

import pytest
import torch
from torch import nn

from srdistill.images.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.networks import count_parameters
from srdistill.networks.classifiers import IMAGENET_MEAN, IMAGENET_STD, build_classifier, embed

TEN = tuple(f"class {label}" for label in range(10))


def convnet_parameters(depth, width, size, classes):
    """Convolutions with bias, a scale and a shift per channel, one linear layer on what average pooling leaves."""
    total, channels = 0, 3
    for _ in range(depth):
        total += 3 * 3 * channels * width + width + 2 * width
        channels, size = width, size // 2
    return total + (size * size * width + 1) * classes


def content(network):
    """Weights and buffers, the normalisation among them, by name."""
    return {name: tensor.tolist() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize(("depth", "size"), [(3, 32), (4, 64), (5, 128), (5, 224), (6, 224)])
def test_convnet_has_the_parameters_of_its_formula(depth, size, norm):
    network = build_classifier("ConvNet", classes=TEN, size=size, seed=0, depth=depth, norm=norm)
    assert count_parameters(network) == convnet_parameters(depth, 128, size, 10)


def test_known_parameter_counts():
    assert convnet_parameters(3, 128, 32, 10) == 320_010  # as printed for ConvNet-3 on CIFAR-10
    thousand = tuple(map(str, range(1000)))
    assert count_parameters(build_classifier("ResNet18", classes=thousand, size=224, seed=0)) == 11_689_512
    # The stem's 7x7 filters become 3x3, the last layer 10-way: the 11,173,962 of the CIFAR ResNet-18.
    small = build_classifier("ResNet18", classes=TEN, size=32, seed=0, small_stem=True)
    assert count_parameters(small) == 11_689_512 - 64 * 3 * (49 - 9) - 513 * 990 == 11_173_962


def test_small_stem_keeps_the_resolution_of_small_pictures():
    sides = {}
    for small_stem in (False, True):
        body = build_classifier("ResNet18", classes=TEN, size=32, seed=0, small_stem=small_stem).body
        body.layer4.register_forward_hook(lambda module, given, made, key=small_stem: sides.update({key: made.shape[-1]}))
        assert body.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert sides == {False: 1, True: 4}


def test_convnet_is_a_chain_of_plain_layers():
    network = build_classifier("ConvNet", classes=TEN, size=16, seed=3, depth=2, width=6).eval()
    images = torch.rand(3, 3, 16, 16)
    weights = network.body.state_dict()
    x = (images - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    for block in range(2):
        x = nn.functional.conv2d(x, weights[f"features.{4 * block}.weight"], weights[f"features.{4 * block}.bias"], padding=1)
        norm = {key: weights[f"features.{4 * block + 1}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
        x = (x - norm["running_mean"][:, None, None]) / (norm["running_var"][:, None, None] + 1e-5).sqrt()
        x = torch.relu(x * norm["weight"][:, None, None] + norm["bias"][:, None, None])
        x = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    expected = x.flatten(1) @ weights["classifier.weight"].T + weights["classifier.bias"]
    assert torch.allclose(network(images), expected, atol=1e-5)


def test_instance_norm_looks_at_one_picture_at_a_time():
    images = torch.rand(4, 3, 16, 16)
    for norm, alike in (("instance", True), ("batch", False)):
        network = build_classifier("ConvNet", classes=TEN, size=16, seed=3, width=8, norm=norm).train()
        assert torch.allclose(network(images)[:1], network(images[:1]), atol=1e-5) is alike


def test_normalisation_is_part_of_the_network():
    data = photo_classes("test", per_class=3)
    mean, std = data.statistics
    network = build_classifier("ConvNet", classes=data.classes, size=32, seed=0, width=8, mean=mean, std=std).eval()
    seen = []
    network.body.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    network(to_float(data.images))
    assert seen[0].mean((0, 2, 3)).abs().max() < 1e-5
    assert (seen[0].std((0, 2, 3)) - 1).abs().max() < 1e-4


def test_the_start_depends_on_the_seed_alone():
    def start(seed):
        return build_classifier("ConvNet", classes=TEN, size=16, seed=seed, width=8)

    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = start(0)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert content(start(0)) == content(first) != content(start(1))
    other = build_classifier("ConvNet", classes=TEN, size=16, seed=0, width=8, mean=(0.5, 0.5, 0.5))
    assert content(other) != content(first)  # another normalisation is another network


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"architecture": "LeNet"}, "unknown classifier 'LeNet'; there are: ConvNet, ResNet18"),
        ({"classes": ("cat",)}, "two or more different class names"),
        ({"classes": ("cat", "cat")}, "two or more different class names"),
        ({"classes": "cats"}, "two or more different class names"),
        ({"depth": 5}, "ConvNet of depth 5 needs pictures of 32 px or more, got 16 px"),
        ({"depth": 0}, "depth and width must be 1 or more"),
        ({"norm": "layer"}, "unknown norm 'layer'; there are: batch, instance"),
        ({"std": (1, 0, 1)}, "three positive deviations"),
        ({"mean": (0.5,)}, "three means"),
        ({"architecture": "ResNet18"}, "16 px is below 32 px; use small_stem=True or larger"),
        ({"architecture": "ResNet18", "size": 4, "small_stem": True}, "4 px is below 8 px; use larger"),
    ],
)
def test_impossible_classifiers_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        build_classifier(**{"architecture": "ConvNet", "classes": TEN, "size": 16, "seed": 0} | given)


def test_pictures_that_a_classifier_cannot_take():
    network = build_classifier("ConvNet", classes=TEN, size=16, seed=0, width=8)
    with pytest.raises(ValueError, match="float pictures .* got torch.uint8 .*do not normalise"):
        network(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"\(1, 1, 16, 16\)"):
        network(torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match=r"takes pictures of 16 px, got \(1, 3, 32, 32\)"):
        network(torch.zeros(1, 3, 32, 32))


SMALL = {"ConvNet": {"width": 8}, "ResNet18": {"small_stem": True}}


@pytest.mark.parametrize("architecture", SMALL)
def test_embedded_pictures_are_what_the_last_layer_is_given(architecture):
    network = build_classifier(architecture, classes=TEN, size=16, seed=0, **SMALL[architecture]).eval()
    images = torch.rand(3, 3, 16, 16, requires_grad=True)
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    features = network.embed(images)
    assert features.shape == (3, head.in_features)
    assert torch.equal(head(features), network(images))
    assert torch.autograd.grad(features.square().sum(), images)[0].abs().sum() > 0
    assert torch.equal(embed(network.body, network.normalise(images)), features)
    assert not head._forward_pre_hooks
