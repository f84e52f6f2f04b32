"""Gradients of a fixed network: computed once for all who ask for the same, and never mistaken for others."""

import pytest
import torch

from srdistill.networks import build_network
from srdistill.papers.dietz import real_gradients as module
from srdistill.papers.dietz.real_gradients import RealGradients


def network(seed=0):
    return build_network("SRCNN", 2, seed, kernels=(5, 1, 3), widths=(6, 4))


def asked(pictures, net=None, *, crop=32, step=32, size=24, seed=0, distance="rows", element=3):
    source = RealGradients(pictures, net or network(), 2, distance, crop, step, size, 4, seed, torch.device("cpu"))
    return source.gradients(*source.network(0), 0, 0, element)


@pytest.fixture
def computed(monkeypatch):
    """How often gradients were really computed."""
    monkeypatch.setattr(module, "_last", {})
    calls, compute = [], RealGradients._compute

    def counted(self, *arguments):
        calls.append(1)
        return compute(self, *arguments)

    monkeypatch.setattr(RealGradients, "_compute", counted)
    return calls


def test_other_seeds_and_sizes_share_them(pictures, computed):
    first = asked(pictures)
    second = asked(pictures, network(), seed=5, size=16)
    assert len(computed) == 1 and all(a is b for a, b in zip(first, second, strict=True))
    asked(pictures, element=4)
    assert len(computed) == 2


@pytest.mark.parametrize("change", [{"net": network(1)}, {"crop": 40}, {"step": 16}, {"distance": "mse"}, {"size": 36}])
def test_what_they_depend_on_is_never_mixed_up(pictures, computed, change):
    kept = asked(pictures)
    asked(pictures, **change)
    again = asked(pictures)
    assert len(computed) == 3
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))


def test_a_network_changed_in_place_is_another_network(pictures, computed):
    net = network()
    before = asked(pictures, net)
    with torch.no_grad():
        next(net.parameters()).mul_(1.5)
    after = asked(pictures, net)
    assert len(computed) == 2 and not torch.equal(before[0], after[0])


def test_other_pictures_are_other_gradients(pictures, computed):
    asked(pictures)
    asked(pictures.center_crop(64))
    assert len(computed) == 2


def test_drawn_networks_are_never_kept(pictures, computed):
    source = RealGradients(pictures, None, 2, "rows", 32, 32, 24, 4, 0, torch.device("cpu"))
    for _ in range(2):
        source.gradients(*source.network(0), 0, 0, 0)
    assert len(computed) == 2
