"""Gradients of a fixed network: computed once for all who ask for the same, and never mistaken for others."""

import pytest
import torch

from srdistill.networks import build_network
from srdistill.papers.dietz import real_gradients as module
from srdistill.papers.dietz.real_gradients import RealGradients
from srdistill.papers.dietz.settings import LatentMatching, Matching


def network(seed=0, scale=2):
    return build_network("SRCNN", scale, seed, kernels=(5, 1, 3), widths=(6, 4))


def asked(pictures, net=None, *, size=24, seed=0, element=3, kind=Matching, **changes):
    matching = kind(**{"crop": 32, "step": 32, "batch_real": 4, "distance": "cosine"} | changes)
    net = net or network(scale=matching.scale)
    source = RealGradients(pictures, net, matching, size=size, seed=seed, device=torch.device("cpu"))
    return source.gradients(*source.network(0), 0, 0, element)


def same(first, second):
    return [tuple(a.shape) for a in first] == [tuple(b.shape) for b in second] and all(map(torch.equal, first, second))


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


@pytest.mark.parametrize("change", [{"seed": 5}, {"size": 16}, {"kind": LatentMatching}, {"batch_real": 2}, {"lr": 0.3}])
def test_what_they_do_not_depend_on_shares_them(pictures, computed, change):
    first = asked(pictures)
    second = asked(pictures, network(), **change)
    assert len(computed) == 1 and all(a is b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 4}, {"distance": "rows"}, {"step": 16}, {"crop": 40}, {"size": 36}, {"element": 4},
        {"net": network(1)}, {"pictures": "flower"}, {"pictures": "cut"},
    ],
    ids=str,
)  # fmt: skip
def test_what_they_depend_on_is_never_mixed_up(pictures, computed, monkeypatch, change):
    """Who asks after somebody else gets what one gets who asks first."""
    known = {"all": pictures, "flower": pictures.select(["flower"]), "cut": pictures.center_crop(64)}
    change = change | {"pictures": known[change.get("pictures", "all")]}
    kept = asked(pictures)
    found, again = asked(**change), asked(pictures)
    assert not same(found, kept) and same(again, kept)
    # The last asked for are kept, for every flip.
    assert len(computed) == (2 if "element" in change else 3)
    monkeypatch.setattr(module, "_last", {})
    assert same(found, asked(**change))


def test_a_network_changed_in_place_is_another_network(pictures, computed):
    net = network()
    before = asked(pictures, net)
    with torch.no_grad():
        next(net.parameters()).mul_(1.5)
    after = asked(pictures, net)
    assert len(computed) == 2 and not torch.equal(before[0], after[0])


def test_drawn_networks_are_never_kept(pictures, computed):
    matching = Matching(crop=32, step=32, batch_real=4)
    source = RealGradients(pictures, None, matching, size=24, seed=0, device=torch.device("cpu"))
    for _ in range(2):
        source.gradients(*source.network(0), 0, 0, 0)
    assert len(computed) == 2
