"""Architectures: sizes as published, shapes, and initial weights that depend on the seed alone."""

import pytest
import torch

from srdistill.images.convention import bicubic
from srdistill.networks import ARCHITECTURES, build_network, count_parameters

LARGE = {"width": 256, "depth": 32, "residual_scale": 0.1}
TINY = {
    "SRCNN": {"kernels": (3, 1, 3), "widths": (4, 4)},
    "VDSR": {"width": 4, "depth": 3},
    "EDSR": {"width": 4, "depth": 2},
}


@pytest.mark.parametrize(
    ("architecture", "scale", "sizes", "parameters"),
    [
        ("SRCNN", 2, {}, 69_251),
        ("SRCNN", 4, {"kernels": (9, 5, 5)}, 69_251),
        ("SRCNN", 2, {"kernels": (9, 1, 5)}, 20_099),
        ("VDSR", 2, {}, 667_008),
        ("VDSR", 2, {"bias": True}, 668_227),
        ("EDSR", 2, {}, 1_369_859),
        ("EDSR", 4, {}, 1_517_571),
        ("EDSR", 2, LARGE, 40_729_603),
        ("EDSR", 4, LARGE, 43_089_923),
    ],
)
def test_parameters_are_as_many_as_published(architecture, scale, sizes, parameters):
    with torch.device("meta"):
        network = ARCHITECTURES[architecture](scale=scale, **sizes)
    assert count_parameters(network) == parameters


def test_only_trainable_parameters_are_counted():
    network = build_network("SRCNN", 2, 0)
    network.body[0].requires_grad_(False)
    assert count_parameters(network) == 69_251 - (64 * 3 * 81 + 64)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("architecture", TINY)
def test_output_is_scale_times_larger(architecture, scale):
    network = build_network(architecture, scale, 0, **TINY[architecture])
    assert network(torch.rand(2, 3, 7, 10)).shape == (2, 3, 7 * scale, 10 * scale)


@pytest.mark.parametrize("scale", [2, 4])
def test_untrained_vdsr_is_bicubic(pictures, scale):
    lr = pictures.images[0][None].float() / 255
    assert torch.equal(build_network("VDSR", scale, 3)(lr[..., :20, :24]), bicubic(lr[..., :20, :24], scale))


def test_vdsr_can_leave_bicubic_from_the_first_step():
    network = build_network("VDSR", 2, 0, width=4, depth=4)
    network(torch.rand(1, 3, 8, 8)).square().sum().backward()
    assert network.body[-1].weight.grad.abs().max() > 0


def test_edsr_scales_its_residuals():
    x = torch.rand(1, 3, 6, 6)
    plain, scaled = (build_network("EDSR", 2, 1, width=4, depth=2, residual_scale=s) for s in (1.0, 0.1))
    assert not torch.allclose(plain(x), scaled(x))
    for block in (*plain.body, *scaled.body):
        torch.nn.init.zeros_(block.conv2.weight)
        torch.nn.init.zeros_(block.conv2.bias)
    assert torch.equal(plain(x), scaled(x))


@pytest.mark.parametrize("architecture", TINY)
def test_initial_weights_depend_on_the_seed_alone(architecture):
    def weights(seed):
        return torch.nn.utils.parameters_to_vector(build_network(architecture, 2, seed, **TINY[architecture]).parameters())

    torch.manual_seed(1)
    first = weights(5)
    torch.manual_seed(2)
    torch.rand(17)
    assert torch.equal(first, weights(5))
    assert not torch.equal(first, weights(6))


@pytest.mark.parametrize("architecture", TINY)
def test_global_generator_is_left_as_it_was(architecture):
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    build_network(architecture, 2, 0, **TINY[architecture])
    assert torch.equal(before, torch.random.get_rng_state())


def test_global_generator_is_left_as_it_was_when_building_fails():
    before = torch.random.get_rng_state()
    with pytest.raises(ValueError):
        build_network("EDSR", 5, 0)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("architecture", "scale", "sizes", "message"),
    [
        ("RCAN", 2, {}, "unknown network 'RCAN'; there are: SRCNN, VDSR, EDSR"),
        ("SRCNN", 2, {"kernels": (9, 4, 5)}, r"three odd kernel sizes, got \(9, 4, 5\)"),
        ("SRCNN", 2, {"kernels": (9, 5)}, "three odd kernel sizes"),
        ("VDSR", 2, {"depth": 1}, "depth of 2 or more, got 1"),
        ("EDSR", 8, {}, "by 2, 3 or 4, got 8"),
    ],
)
def test_what_cannot_be_built_is_refused(architecture, scale, sizes, message):
    with pytest.raises(ValueError, match=message):
        build_network(architecture, scale, 0, **sizes)
