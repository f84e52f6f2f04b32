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
    "RCAN": {"width": 8, "groups": 1, "depth": 1, "reduction": 2},
    "SRFormer": {"width": 8, "depths": (2,), "heads": 2, "window": 4},
    "HiTSR": {"width": 12, "groups": 1, "heads": 2, "base": 2, "windows": (2, 4)},
    "RRDBNet": {"width": 4, "depth": 1, "growth": 2},
}
OVER_BICUBIC = ("EDSR", "RCAN", "SRFormer", "HiTSR", "RRDBNet")


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
        ("RCAN", 2, {}, 15_444_643),
        ("RCAN", 4, {}, 15_592_355),
        ("SRFormer", 2, {}, 853_272),
        ("SRFormer", 4, {}, 872_748),
        ("HiTSR", 2, {}, 846_944),
        ("HiTSR", 4, {}, 866_420),
        ("RRDBNet", 4, {}, 16_697_987),
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


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (5, 3), (8, 8), (13, 21)])
@pytest.mark.parametrize("architecture", ["RCAN", "SRFormer", "HiTSR", "RRDBNet"])
def test_pictures_of_any_size_go_through(architecture, size):
    """Above all those that are no multiple of a window, or smaller than it."""
    sr = build_network(architecture, 4, 0, **TINY[architecture])(torch.rand(1, 3, *size))
    assert sr.shape == (1, 3, 4 * size[0], 4 * size[1]) and bool(torch.isfinite(sr).all())


@pytest.mark.parametrize("over_bicubic", [False, True])
@pytest.mark.parametrize("architecture", OVER_BICUBIC)
def test_every_weight_learns_and_the_input_stays(architecture, over_bicubic, pictures):
    network = build_network(architecture, 2, 0, **TINY[architecture], over_bicubic=over_bicubic).train()
    lr = pictures.images[0][None, :, 20:33, 30:41].float() / 255
    before = lr.clone()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    for _ in range(2):  # the zeros at the end of a network over bicubic let nothing through at first
        optimizer.zero_grad()
        (network(lr) - 0.5).square().mean().backward()
        optimizer.step()
    assert torch.equal(lr, before)
    assert [name for name, weight in network.named_parameters() if not weight.grad.abs().max() > 0] == []


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("architecture", OVER_BICUBIC)
def test_untrained_network_over_bicubic_is_bicubic(architecture, scale, pictures):
    lr = pictures.images[0][None, :, :11, :14].float() / 255
    network = build_network(architecture, scale, 3, **TINY[architecture], over_bicubic=True)
    assert torch.equal(network(lr), bicubic(lr, scale))


@pytest.mark.parametrize("scale", [2, 4])
def test_untrained_vdsr_is_bicubic(pictures, scale):
    lr = pictures.images[0][None].float() / 255
    assert torch.equal(build_network("VDSR", scale, 3)(lr[..., :20, :24]), bicubic(lr[..., :20, :24], scale))


@pytest.mark.parametrize("scale", [2, 4])
def test_srcnn_with_an_identity_starts_as_bicubic_and_learns_at_once(pictures, scale):
    lr = pictures.images[0][None, :, :20, :24].float() / 255
    network = build_network("SRCNN", scale, 3, widths=(16, 8), identity=True)
    assert torch.allclose(network(lr).clamp(0, 1), bicubic(lr, scale).clamp(0, 1), atol=1e-6)
    (network(lr) - 0.5).square().mean().backward()
    assert (network.body[-1].weight.grad.abs().amax((0, 2, 3)) > 0).all()


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
        ("SwinIR", 2, {}, "unknown network 'SwinIR'; there are: SRCNN, VDSR, EDSR, RCAN, SRFormer, HiTSR, RRDBNet"),
        ("SRCNN", 2, {"kernels": (9, 4, 5)}, r"three odd kernel sizes, got \(9, 4, 5\)"),
        ("SRCNN", 2, {"kernels": (9, 5)}, "three odd kernel sizes"),
        ("VDSR", 2, {"depth": 1}, "depth of 2 or more, got 1"),
        ("EDSR", 8, {}, "by 2, 3 or 4, got 8"),
        ("RCAN", 8, {}, "RCAN enlarges by 2, 3 or 4, got 8"),
        ("RCAN", 2, {"width": 8}, "reduction must be between 1 and the width 8, got 16"),
        ("SRFormer", 1, {}, "SRFormer enlarges by 2, 3 or 4, got 1"),
        ("SRFormer", 2, {"window": 6}, "window must be a multiple of 4, got 6"),
        ("SRFormer", 2, {"width": 18}, "width must be a multiple of 4, got 18"),
        ("SRFormer", 2, {"heads": 7}, "7 heads do not divide 60 channels"),
        ("HiTSR", 5, {}, "HiTSR enlarges by 2, 3 or 4, got 5"),
        ("HiTSR", 2, {"width": 15}, "width must be even and 6 or more, got 15"),
        ("HiTSR", 2, {"heads": 4}, "4 heads do not divide 30 channels"),
        ("HiTSR", 2, {"windows": (8, 12)}, "a window of 12 px is no multiple of the base of 8 px"),
        ("RRDBNet", 8, {}, "RRDBNet enlarges by 2, 3 or 4, got 8"),
    ],
)
def test_what_cannot_be_built_is_refused(architecture, scale, sizes, message):
    with pytest.raises(ValueError, match=message):
        build_network(architecture, scale, 0, **sizes)
