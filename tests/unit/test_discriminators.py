"""Discriminators: sizes as published, shapes, spectral norms, and pictures that do not fit."""

import pytest
import torch
from torch.nn.functional import conv2d, interpolate, leaky_relu

from srdistill.networks import count_parameters
from srdistill.networks.discriminators import UNetDiscriminator, VGGDiscriminator, build_discriminator


def test_parameters_are_as_many_as_in_the_references():
    with torch.device("meta"):
        assert count_parameters(UNetDiscriminator(256)) == 4_376_897
        assert count_parameters(VGGDiscriminator()) == 14_499_401


def test_unet_judges_every_pixel_and_vgg_every_picture():
    images = torch.rand(2, 3, 32, 32)
    assert build_discriminator("UNet", 32, 0, width=4)(images).shape == (2, 1, 32, 32)
    assert build_discriminator("UNet", 32, 0, width=4)(images[..., :24]).shape == (2, 1, 32, 24)
    assert build_discriminator("VGG", 32, 0, width=4, stages=3)(images).shape == (2, 1)


def test_spectral_norms_become_one():
    network = build_discriminator("UNet", 16, 0, width=8)
    for _ in range(60):  # one power iteration each
        network(torch.rand(1, 3, 16, 16))
    network.eval()
    for layer in (*network.down, *network.up, *network.last):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    assert torch.linalg.matrix_norm(network.head.weight.flatten(1), 2).item() != pytest.approx(1, abs=0.02)


@torch.no_grad()
def test_unet_is_put_together_as_in_real_esrgan():
    """Three levels down, three up, each with what was seen on the way down added after its convolution."""
    network = build_discriminator("UNet", 16, 0, width=4).eval()
    images = torch.rand(2, 3, 16, 16)

    def up(x, layer):
        return leaky_relu(conv2d(interpolate(x, scale_factor=2, mode="bilinear"), layer.weight, padding=1), 0.2)

    x0 = leaky_relu(conv2d(images, network.head.weight, network.head.bias, padding=1), 0.2)
    x1, x2, x3 = (d.weight for d in network.down)
    x1 = leaky_relu(conv2d(x0, x1, stride=2, padding=1), 0.2)
    x2 = leaky_relu(conv2d(x1, x2, stride=2, padding=1), 0.2)
    x3 = leaky_relu(conv2d(x2, x3, stride=2, padding=1), 0.2)
    x = up(up(up(x3, network.up[0]) + x2, network.up[1]) + x1, network.up[2]) + x0
    for layer in network.last:
        x = leaky_relu(conv2d(x, layer.weight, padding=1), 0.2)
    expected = conv2d(x, network.tail.weight, network.tail.bias, padding=1)
    assert torch.allclose(network(images), expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "sizes"), [("UNet", {"width": 4}), ("VGG", {"width": 4, "stages": 2})])
def test_weights_depend_on_the_seed_alone(kind, sizes):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build_discriminator(kind, 16, 5, **sizes).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(7)
    again, other = (build_discriminator(kind, 16, seed, **sizes).state_dict() for seed in (5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = next(iter(first))
    assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize(
    ("kind", "size", "sizes", "message"),
    [
        ("Patch", 32, {}, "unknown discriminator 'Patch'; there are: UNet, VGG"),
        ("UNet", 36, {}, "multiple of 8 px, got 36 px"),
        ("UNet", 0, {}, "multiple of 8 px, got 0 px"),
        ("VGG", 48, {}, "halves 5 times: 48 px is no multiple of 32 px; change the patch or the number of stages"),
        ("VGG", 32, {"stages": 0}, "halves 0 times"),
    ],
)
def test_what_cannot_be_built_is_refused(kind, size, sizes, message):
    with pytest.raises(ValueError, match=message):
        build_discriminator(kind, size, 0, **sizes)


@pytest.mark.parametrize(
    ("kind", "sizes", "message"),
    [
        ("UNet", {}, r"multiples of 8 px, got \(1, 3, 20, 16\)"),
        ("VGG", {"stages": 2}, r"pictures of 16 px, got \(1, 3, 20, 16\)"),
    ],
)
def test_pictures_of_another_size_are_refused(kind, sizes, message):
    with pytest.raises(ValueError, match=message):
        build_discriminator(kind, 16, 0, width=4, **sizes)(torch.rand(1, 3, 20, 16))
