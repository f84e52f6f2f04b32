"""The gradient distance on networks that matching never saw: by hand, whatever the chunks, and what it tells of matching."""

import pytest
import torch
import torch.nn.functional as F

from srdistill.images.pictures import Pictures, to_float
from srdistill.images.resize import downscale
from srdistill.networks import build_network
from srdistill.papers.dietz import held_out
from srdistill.papers.dietz.epsilon import epsilon_at_work
from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.held_out import held_out_networks, set_distances
from srdistill.papers.dietz.settings import Matching
from srdistill.seeds import derive_seed
from srdistill.sets.downscaled import downscaled
from srdistill.sets.noise import noise
from srdistill.sets.random_crops import random_crops
from srdistill.training.gradient_distances import row_distance

TINY = {"architecture": "SRCNN", "kernels": (5, 1, 3), "widths": (6, 4)}
MATCHING = Matching(crop=32, step=32, iterations=60, optimizer="adam", lr=0.01)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(held_out, "_targets", {})


def start(pictures, method=downscaled, ipc=1):
    return method(pictures, ipc=ipc, size=24, generator=torch.Generator().manual_seed(0))


def gradients(network, hr):
    loss = F.mse_loss(network(downscale(hr, 2)), hr)
    return [g[None] for g in torch.autograd.grad(loss, list(network.parameters()))]


@pytest.mark.parametrize("ipc", [1, 2])
def test_it_is_the_distance_to_all_sub_images_of_each_picture(pictures, ipc):
    sets, networks = [start(pictures, ipc=ipc), start(pictures, random_crops, ipc)], held_out_networks(TINY, 2, 3)
    found = set_distances(pictures, sets, networks=networks, matching=MATCHING)
    assert found.shape == (2, 3) and found.dtype == torch.float64
    windows = {96: (0, 32, 64), 120: (0, 32, 64, 88), 80: (0, 32, 48), 104: (0, 32, 64, 72), 72: (0, 32, 40)}
    for row, made in enumerate(sets):
        for column, network in enumerate(networks):
            apart = []
            for label, image in enumerate(pictures.images):
                places = [(y, x) for y in windows[image.shape[1]] for x in windows[image.shape[2]]]
                real = to_float(torch.stack([image[:, y : y + 32, x : x + 32] for y, x in places]))
                mine = to_float(made.images[label * ipc : (label + 1) * ipc])
                apart.append(row_distance(gradients(network, mine), gradients(network, real)).item())
            assert found[row, column].item() == pytest.approx(sum(apart) / len(apart), rel=1e-3)


def test_the_networks_are_always_the_same_and_none_that_matching_draws():
    def weights(networks):
        return [torch.nn.utils.parameters_to_vector(network.parameters()) for network in networks]

    first, again = weights(held_out_networks(TINY, 2)), weights(held_out_networks(TINY, 2))
    assert len(first) == 8 and all(map(torch.equal, first, again))
    seeds = [derive_seed(derive_seed(seed, "set"), "network", k) for seed in range(3) for k in range(20)]
    drawn = weights(build_network(scale=2, seed=seed, **TINY) for seed in seeds)
    assert not any(torch.equal(mine, other) for mine in first for other in drawn)


def test_real_gradients_are_computed_once_for_all_sets(pictures, monkeypatch):
    calls, compute = [], held_out.real_gradients
    monkeypatch.setattr(held_out, "real_gradients", lambda *given: calls.append(1) or compute(*given))
    networks = held_out_networks(TINY, 2, 2)
    first = set_distances(pictures, [start(pictures)], networks=networks, matching=MATCHING)
    assert len(calls) == 6
    again = set_distances(pictures, [start(pictures)], networks=held_out_networks(TINY, 2, 2), matching=MATCHING)
    assert len(calls) == 6 and torch.equal(first, again)
    others = Pictures(tuple(255 - image for image in pictures.images), pictures.names)
    set_distances(others, [start(pictures)], networks=networks, matching=MATCHING)
    assert len(calls) == 12
    monkeypatch.setattr(held_out, "_ROOM", 0)
    held_out._targets.clear()
    assert torch.equal(set_distances(pictures, [start(pictures)], networks=networks, matching=MATCHING), first)
    assert len(calls) == 18 and not held_out._targets


def test_matching_brings_a_set_nearer_to_the_pictures(pictures):
    made = gradient_matching(
        pictures, ipc=1, size=24, generator=torch.Generator().manual_seed(0), start="noise", network=TINY, matching=MATCHING
    )
    begin = start(pictures, noise)
    before, after = set_distances(pictures, [begin, made], networks=held_out_networks(TINY, 2), matching=MATCHING).mean(1)
    assert after < 0.9 * before




def test_what_was_matched_to_the_letter_is_measured_alike(pictures):
    made, networks = [start(pictures)], held_out_networks(TINY, 2, 2)
    literal = Matching(crop=32, step=32, distance="rows-literal")
    found = [set_distances(pictures, made, networks=networks, matching=matching) for matching in (MATCHING, literal)]
    assert torch.equal(*found)
    other = Matching(crop=32, step=32, distance="cosine")
    assert (set_distances(pictures, made, networks=networks, matching=other) < found[0]).all()



def test_epsilon_swamps_small_gradients(pictures):
    """With weights so small that gradients are, the literal distance says that nothing is alike, and pulls elsewhere."""
    network = build_network(scale=2, seed=2, **TINY)
    loud = epsilon_at_work(pictures, start(pictures), network, matching=MATCHING)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.03)
    quiet = epsilon_at_work(pictures, start(pictures), network, matching=MATCHING)
    assert set(quiet.products) == {f"body.{i}.weight" for i in (0, 2, 4)} and quiet.products["body.0.weight"].shape == (3, 6)
    assert quiet.below()["body.0.weight"] > loud.below()["body.0.weight"]
    assert quiet.below()["body.0.weight"] > 0.5
    assert quiet.distances["rows-literal"] > quiet.distances["rows"] + 1
    assert {name: pull.shape for name, pull in quiet.pulls.items()} == dict.fromkeys(
        ("rows", "rows-literal"), (3, 1, 3, 24, 24)
    )
    assert quiet.cosine.shape == (3,) and quiet.cosine.mean() < 0.8
