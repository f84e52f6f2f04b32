"""FSRCNN: sizes as published, shapes, gradients, and that joining the registry later costs nobody a result."""

import subprocess
import sys

import pytest
import torch

from srdistill.images.convention import bicubic
from srdistill.networks import ARCHITECTURES, build_network, count_parameters
from srdistill.networks.later import LATER

TINY = {"FSRCNN": {"width": 8, "narrow": 4, "depth": 2}}


@pytest.mark.parametrize(
    ("architecture", "scale", "sizes", "parameters"),
    [
        ("FSRCNN", 2, {"channels": 1}, 12_809),
        ("FSRCNN", 3, {"channels": 1}, 12_809),
        ("FSRCNN", 4, {"channels": 1}, 12_809),
        ("FSRCNN", 2, {}, 24_683),
    ],
)
def test_parameters_are_as_many_as_published(architecture, scale, sizes, parameters):
    with torch.device("meta"):
        network = ARCHITECTURES[architecture](scale=scale, **sizes)
    assert count_parameters(network) == parameters


def test_fsrcnns_filters_are_as_many_as_printed():
    network = build_network("FSRCNN", 3, 0, channels=1)
    assert sum(weight.numel() for weight in network.parameters() if weight.ndim == 4) == 12_464


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 10)])
@pytest.mark.parametrize("architecture", TINY)
def test_output_is_scale_times_larger(architecture, size, scale):
    sr = build_network(architecture, scale, 0, **TINY[architecture])(torch.rand(2, 3, *size))
    assert sr.shape == (2, 3, size[0] * scale, size[1] * scale) and bool(torch.isfinite(sr).all())


@pytest.mark.parametrize("over_bicubic", [False, True])
@pytest.mark.parametrize("architecture", TINY)
def test_every_weight_learns_and_the_input_stays(architecture, over_bicubic, pictures):
    network = build_network(architecture, 2, 0, **TINY[architecture], over_bicubic=over_bicubic).train()
    lr = pictures.images[0][None, :, 20:33, 30:41].float() / 255
    before = lr.clone()
    optimizer = torch.optim.SGD(network.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        (network(lr) - 0.5).square().mean().backward()
        optimizer.step()
    assert torch.equal(lr, before)
    assert [name for name, weight in network.named_parameters() if not weight.grad.abs().max() > 0] == []


@pytest.mark.parametrize("architecture", TINY)
def test_gradients_of_a_flat_picture_are_finite(architecture):
    network = build_network(architecture, 2, 0, **TINY[architecture])
    network(torch.zeros(1, 3, 8, 8)).square().sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("architecture", TINY)
def test_untrained_network_over_bicubic_is_bicubic(architecture, scale, pictures):
    lr = pictures.images[0][None, :, :11, :14].float() / 255
    network = build_network(architecture, scale, 3, **TINY[architecture], over_bicubic=True)
    assert torch.equal(network(lr), bicubic(lr, scale))


@pytest.mark.parametrize("architecture", TINY)
def test_initial_weights_depend_on_the_seed_alone(architecture):
    def weights(seed):
        return torch.nn.utils.parameters_to_vector(build_network(architecture, 2, seed, **TINY[architecture]).parameters())

    first = weights(5)
    torch.rand(17)
    assert torch.equal(first, weights(5)) and not torch.equal(first, weights(6))


@pytest.mark.parametrize(
    ("architecture", "scale", "sizes", "message"),
    [
        ("FSRCNN", 8, {}, "FSRCNN enlarges by 2, 3 or 4, got 8"),
        ("FSRCNN", 2, {"depth": 0}, "must be 1 or more, got 56, 12, 0, 3"),
    ],
)
def test_what_cannot_be_built_is_refused(architecture, scale, sizes, message):
    with pytest.raises(ValueError, match=message):
        build_network(architecture, scale, 0, **sizes)


def test_whoever_trains_knows_them_and_the_registry_does_not_import_them():
    """A module that the registry imports counts in the key of every student there is."""
    found = {}
    for module in ("srdistill.networks", "srdistill.study.steps.networks"):
        code = f"import {module}, srdistill.networks as n; print(*n.ARCHITECTURES)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        found[module] = done.stdout.split()
    assert not set(LATER) & set(found["srdistill.networks"])
    assert set(LATER) <= set(found["srdistill.study.steps.networks"])
