"""Classifiers: parameter counts, the normalisation inside, reproducible starts, bad settings."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from srdistill.catalogue.photo_classes import photo_classes
from srdistill.images.pictures import to_float
from srdistill.networks import count_parameters
from srdistill.networks.classifiers import CLASSIFIERS, IMAGENET_MEAN, IMAGENET_STD, build_classifier, embed

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
        ({"architecture": "ResNet18", "size": 12, "small_stem": True, "norm": "instance"}, "12 px is below 16 px; use larger"),
        ({"architecture": "ResNet18", "norm": "layer"}, "ResNet-18: unknown norm 'layer'; there are: batch, instance"),
        ({"architecture": "ResNet18", "size": 32, "width_factor": 0.0}, "width_factor must be positive, got 0.0; 1.0 is"),
        ({"architecture": "AlexNet", "size": 4}, "AlexNet halves the sides three times: 4 px is below 8 px"),
        ({"architecture": "AlexNet", "width_factor": -1.0}, "width_factor must be positive, got -1.0"),
        ({"architecture": "VGG11"}, "VGG11 halves the sides five times: 16 px is below 32 px"),
        ({"architecture": "VGG11", "size": 32, "pooled": 0}, "pooled must be 1 or more, or None, got 0"),
        ({"architecture": "ViT", "patch": 5}, "patches of 5 px do not divide pictures of 16 px"),
        ({"architecture": "ViT", "depth": 0}, r"depth must be 1 or more and dropout lie in \[0, 1\), got 0 and 0.1"),
        ({"architecture": "ViT", "dropout": 1.0}, "got 6 and 1.0"),
        ({"architecture": "ViT", "norm": "batch"}, "ViT: unknown norm 'batch'; there are: layer, none"),
        ({"architecture": "ViT", "heads": 7}, "ViT: 7 heads do not divide 512 channels"),
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
    for architecture in ("AlexNet", "VGG11", "ViT"):
        with pytest.raises(ValueError, match=rf"this {architecture} takes pictures of 32 px, got \(1, 3, 48, 48\)"):
            small_network(architecture)(torch.zeros(1, 3, 48, 48))


# --- Cross-architecture students.

GLAD_32 = {
    "AlexNet": {}, "VGG11": {}, "ResNet18": {"small_stem": True, "norm": "instance"},
    "ViT": {"patch": 4, "depth": 6, "norm": "layer"},
}  # fmt: skip
GLAD_128 = GLAD_32 | {"VGG11": {"pooled": 7}, "ViT": {"patch": 16, "depth": 10, "norm": "none"}}


@pytest.mark.parametrize(
    ("settings", "size", "architecture", "count", "printed"),
    [
        (GLAD_32, 32, "AlexNet", 1_872_202, "1.87"),
        (GLAD_128, 128, "AlexNet", 2_333_002, "2.33"),
        (GLAD_32, 32, "VGG11", 9_231_114, "9.23"),
        (GLAD_128, 128, "VGG11", 9_476_874, "9.48"),
        (GLAD_32, 32, "ResNet18", 11_173_962, "11.17"),
        (GLAD_128, 128, "ResNet18", 11_173_962, "11.17"),
        (GLAD_32, 32, "ViT", 9_523_722, "9.52"),
        (GLAD_128, 128, "ViT", 16_176_650, "16.2"),
    ],
)
def test_students_have_the_known_parameter_counts(settings, size, architecture, count, printed):
    network = build_classifier(architecture, classes=TEN, size=size, seed=0, **settings[architecture])
    assert count_parameters(network) == count
    assert f"{count / 1e6:.{len(printed.split('.')[1])}f}" == printed


SMALL = {
    "ConvNet": {"width": 8, "depth": 3, "norm": "instance"},
    "AlexNet": {"width_factor": 1 / 8},
    "VGG11": {"width_factor": 1 / 8, "pooled": 2},
    "ResNet18": {"width_factor": 1 / 8, "small_stem": True, "norm": "instance"},
    "ViT": {"width_factor": 1 / 16, "depth": 2, "heads": 4},
}


def small_network(architecture, **changes):
    return build_classifier(architecture, classes=TEN, size=32, seed=0, **SMALL[architecture] | changes).eval()


def channels(network):
    """Of what every convolution makes, in order."""
    return [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_width_factor_scales_all_channels():
    assert channels(small_network("AlexNet", width_factor=0.25)) == [32, 48, 64, 48, 48]
    assert channels(small_network("VGG11", width_factor=0.25)) == [16, 32, 64, 64, 128, 128, 128, 128]
    # Layers of a block, and of the shortcut where it changes the width.
    blocks = [12, *[12] * 4, *[24] * 5, *[48] * 5, *[96] * 5]
    assert channels(small_network("ResNet18", width_factor=0.19)) == blocks
    assert channels(small_network("ResNet18", width_factor=0.19, norm="batch")) == blocks
    assert channels(small_network("ViT", width_factor=0.13, heads=16)) == [64]
    assert channels(small_network("AlexNet", width_factor=0.001)) == [4] * 5
    assert channels(small_network("AlexNet", width_factor=1.5)) == [192, 288, 384, 288, 288]


@pytest.mark.parametrize("architecture", SMALL)
def test_students_tell_classes_apart_by_pictures_alone(architecture):
    """No statistics of a batch, and in eval mode no dropout; a gradient for every weight."""
    network, images = small_network(architecture), torch.rand(3, 3, 32, 32)
    logits = network(images)
    assert logits.shape == (3, 10)
    assert torch.allclose(network(images[1:2]), logits[1:2], atol=1e-5)
    gradients = torch.autograd.grad(nn.functional.cross_entropy(logits, torch.arange(3)), list(network.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert content(network) == content(small_network(architecture))


def test_alexnet_is_a_chain_of_plain_layers():
    network, images = small_network("AlexNet"), torch.rand(2, 3, 32, 32)
    x, weights = network.normalise(images), network.body.state_dict()
    for layer, pooled in ((0, True), (3, True), (6, False), (8, False), (10, True)):
        kernel = weights[f"features.{layer}.weight"]
        x = torch.relu(nn.functional.conv2d(x, kernel, weights[f"features.{layer}.bias"], padding=kernel.shape[-1] // 2))
        x = x.unflatten(3, (-1, 2)).amax(4).unflatten(2, (-1, 2)).amax(3) if pooled else x
    assert x.shape[2:] == (4, 4)
    assert torch.allclose(network(images), x.flatten(1) @ weights["classifier.weight"].T + weights["classifier.bias"])


def test_pooling_vgg11_repeats_what_there_is():
    images, given = torch.rand(2, 3, 64, 64), {"classes": TEN, "size": 64, "seed": 0, "width_factor": 1 / 8}
    left = build_classifier("VGG11", **given).embed(images).view(2, 64, 2, 2)
    pooled = build_classifier("VGG11", **given, pooled=4).embed(images).view(2, 64, 4, 4)
    assert torch.equal(pooled, left.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_resnet_with_batch_norm_is_torchvisions():
    from torchvision.models import resnet18

    torch.manual_seed(5)
    theirs = resnet18(weights=None, num_classes=10)
    torch.manual_seed(5)
    ours = CLASSIFIERS["ResNet18"](classes=10, size=32)
    found, expected = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(expected) and all(torch.equal(weight, expected[name]) for name, weight in found.items())
    # In double precision, so that only how it is computed could differ.
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    outputs, slopes = [], []
    for network in (ours.double(), theirs.double()):
        outputs.append(network(images))
        slopes.append(torch.autograd.grad(outputs[-1].square().sum(), list(network.parameters())))
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*slopes)
    # Names and shapes of the trained weights are the same with the other norm.
    other = CLASSIFIERS["ResNet18"](classes=10, size=64, norm="instance")
    assert [(n, w.shape) for n, w in other.named_parameters()] == [(n, w.shape) for n, w in theirs.named_parameters()]


class StridedPoints(TorchDispatchMode):
    """Notes the 1x1 convolutions with a stride that torch is asked for."""

    def __init__(self):
        super().__init__()
        self.convolutions, self.found = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            self.convolutions += 1
            (_, _, *kernel), stride = args[1].shape, list(args[3])
            if kernel == [1, 1] and stride != [1, 1]:
                self.found.append(tuple(args[1].shape))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_no_convolution_is_one_whose_gradient_destroys_memory(name):
    """Channels last, oneDNN's gradient of 1x1 convolutions with a stride writes beyond its memory if channels are few."""
    network = small_network(name).to(memory_format=torch.channels_last)
    with StridedPoints() as seen:
        network(torch.rand(2, 3, 32, 32).contiguous(memory_format=torch.channels_last))
    assert seen.convolutions and seen.found == []


def test_instance_norm_of_resnet_normalises_each_channel_of_each_picture():
    body, seen = small_network("ResNet18").body, []
    body.bn1.register_forward_hook(lambda module, given, made: seen.append(made.clone()))
    body(torch.rand(2, 3, 32, 32))
    assert torch.allclose(seen[0].mean((2, 3)), torch.zeros(2, 8), atol=1e-5)
    assert torch.allclose(seen[0].var((2, 3), correction=0), torch.ones(2, 8), atol=1e-3)
    # Torch's own start: uniform within one over the root of the fan-in.
    bound = (8 * 9) ** -0.5
    assert 0.9 * bound < body.layer1[0].conv1.weight.abs().max() <= bound


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_blocks_of_the_transformer_are_attention_and_two_layers(norm):
    network = small_network("ViT", norm=norm)
    assert any(isinstance(module, nn.LayerNorm) for module in network.modules()) is (norm == "layer")
    block, tokens = network.body.blocks[0], torch.randn(2, 65, 32)
    attention = nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight.copy_(block.queries_keys_values.weight)
        attention.out_proj.load_state_dict(block.mix[0].state_dict())
    normed = nn.functional.layer_norm if norm == "layer" else lambda x, shape: x
    x = normed(tokens, (32,))
    x = tokens + attention(x, x, x)[0]
    first, second = block.feed_forward[0], block.feed_forward[3]
    expected = x + second(nn.functional.gelu(first(normed(x, (32,)))))
    assert torch.allclose(block(tokens), expected, atol=1e-5)


def test_tokens_of_the_transformer_are_patches_in_their_places():
    network = small_network("ViT", norm="none")
    body, images = network.body, torch.rand(2, 3, 32, 32)
    given = []
    body.blocks.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    body(images)
    assert torch.allclose(given[0][:, 0], (body.token + body.positions[:, :1])[:, 0].expand(2, -1))
    patch = images[:, :, 4:8, 8:12].flatten(1)  # second row, third column, of eight
    expected = patch @ body.embedding.weight.flatten(1).T + body.embedding.bias + body.positions[0, 1 + 8 + 2]
    assert torch.allclose(given[0][:, 11], expected, atol=1e-5)
    assert body.positions.std() > 0.9 and body.token.std() > 0.6


def test_dropout_is_for_training_only():
    network, images = small_network("ViT", dropout=0.3), torch.rand(2, 3, 32, 32)
    assert torch.equal(network(images), network(images))
    network.train()
    assert not torch.equal(network(images), network(images))
    assert torch.equal(*(small_network("ViT", dropout=0.0).train()(images) for _ in range(2)))


@pytest.mark.parametrize("architecture", SMALL)
def test_embedded_pictures_are_what_the_last_layer_is_given(architecture):
    network, images = small_network(architecture), torch.rand(3, 3, 32, 32, requires_grad=True)
    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    features = network.embed(images)
    assert features.shape == (3, head.in_features)
    assert torch.equal(head(features), network(images))
    assert torch.autograd.grad(features.square().sum(), images)[0].abs().sum() > 0
    assert torch.equal(embed(network.body, network.normalise(images)), features)
    assert not head._forward_pre_hooks
