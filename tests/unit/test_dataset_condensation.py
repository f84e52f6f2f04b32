"""Gradient matching of classifiers: against plain autograd written out, and on real photographs."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_classes import NETWORK, few_photos, seeded
from tiny_prior import TinyPrior

from srdistill.papers.coreset.matching.dataset_condensation import Condensation, dataset_condensation
from srdistill.papers.coreset.matching.gradient_distance import MatchedWeights, row_distance
from srdistill.papers.coreset.matching.learned import begin
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.training import loop, resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.gradient_distances import DISTANCES
from srdistill.training.loop import Diverged

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def real():
    return few_photos()


def distill(real, ipc=2, seed=3, network=NETWORK, start="real", prior=None, chunk=10, checkpoint=None, **settings):
    matching = Condensation(**{"iterations": 3, "real_batch": 5} | settings)
    return dataset_condensation(
        real, ipc=ipc, generator=seeded(seed), network=network, matching=matching, start=start, prior=prior, chunk=chunk,
        checkpoint=checkpoint,
    )  # fmt: skip


def test_the_distance_by_hand():
    ours = [torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.ones(1, 2, 1, 2)]
    theirs = [torch.tensor([[4.0, 3.0], [0.0, 2.0]]), -torch.ones(1, 2, 1, 2)]
    # 1 - 24/25, a right angle, the opposite direction.
    assert row_distance(ours, theirs).item() == pytest.approx(0.04 + 1 + 2, abs=1e-5)


def test_the_distance_is_that_of_super_resolution_to_the_letter():
    """Which knows no other class of the batch, and leaves out biases by itself; the wings share no code."""
    draws = seeded(0)
    shapes = [(4, 3, 3, 3), (4,), (5, 16)]
    ours, theirs = ([torch.randn(shape, generator=draws) for shape in shapes] for _ in range(2))
    known = DISTANCES["rows-literal"]([g[None] for g in ours], [g[None] for g in theirs])
    torch.testing.assert_close(row_distance([ours[0], ours[2]], [theirs[0], theirs[2]])[None], known)


def test_gradients_are_those_of_the_network_without_biases(real):
    network = unit_network(NETWORK, real, 4)
    pictures, labels = channel_units(real).normalised(real.images[::3].float() / 255), real.labels[::3]
    matched = [weight for weight in network.parameters() if weight.ndim > 1]
    assert len(matched) == 3
    for weight in matched:
        weight.requires_grad_(True)
    expected = torch.autograd.grad(F.cross_entropy(network(pictures), labels), matched)
    for found, wanted in zip(MatchedWeights(network).gradients(pictures, labels), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def plain_loop(real, ipc, matching, seed):
    """All classes in one graph, a module trained by torch's own SGD."""
    units = channel_units(real)
    batches = RealBatches(real, units, seed, CPU)
    pixels = begin(real, ipc=ipc, start="real", units=units, lr=0, momentum=0, generator=seeded(seed), device=CPU).units()
    pixels = pixels.clone().requires_grad_()
    optimizer = torch.optim.SGD([pixels], lr=matching.lr, momentum=matching.momentum)
    labels, values = torch.arange(3).repeat_interleave(ipc), []
    for k in range(matching.iterations):
        net = unit_network(NETWORK, real, derive_seed(seed, "network", k)).requires_grad_(True)
        trained = torch.optim.SGD(net.parameters(), lr=matching.network_lr)
        matched, steps = [weight for weight in net.parameters() if weight.ndim > 1], []
        for t in range(matching.outer):
            total = 0
            for label in range(3):
                draw = draw_dsa(generator_for(seed, "siamese", k, t, label), 16)
                theirs = draw(batches.of_class(label, matching.real_batch, k, t))
                ours = draw(pixels[label * ipc : (label + 1) * ipc])
                g, h = (
                    torch.autograd.grad(F.cross_entropy(net(x), torch.full((len(x),), label)), matched, create_graph=True)
                    for x in (ours, theirs)
                )
                total = total + sum(
                    (1 - F.cosine_similarity(a.flatten(1), b.flatten(1).detach())).sum() for a, b in zip(g, h, strict=True)
                )
            optimizer.zero_grad()
            total.backward(inputs=[pixels])
            optimizer.step()
            steps.append(total.item() / 3)
            for epoch in range(matching.inner if t + 1 < matching.outer else 0):
                draws = generator_for(seed, "inner", k, t, epoch)
                for index in torch.randperm(len(pixels), generator=draws).split(matching.network_batch):
                    seen = draw_dsa(draws, 16, len(index))(pixels.detach()[index])
                    trained.zero_grad()
                    F.cross_entropy(net(seen), labels[index]).backward()
                    trained.step()
        values.append(sum(steps) / len(steps))
    return units.pictures(pixels.detach()), values


@pytest.mark.parametrize("settings", [{}, {"outer": 3, "inner": 2, "network_batch": 4, "network_lr": 0.1}])
def test_is_the_plain_loop(real, settings):
    matching = Condensation(iterations=3, real_batch=5, lr=0.1, **settings)
    expected, values = plain_loop(real, 2, matching, 3)
    found = distill(real, lr=0.1, **settings)
    torch.testing.assert_close(found.floats, expected, rtol=1e-3, atol=1e-4)
    assert found.history["distance"] == pytest.approx(values, rel=1e-4)
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2] and found.names == real.classes


@pytest.mark.parametrize(("start", "prior"), [("noise", None), ("real", TinyPrior())])
def test_the_distance_falls_on_real_photographs(real, monkeypatch, start, prior):
    monkeypatch.setattr(loop, "LOOK_EVERY", 10)
    lr = 0.3 if prior is None else 0.1
    made = distill(real, ipc=1, iterations=40, real_batch=8, lr=lr, augment=False, start=start, prior=prior)
    first, *_, last = made.history["distance"]
    assert last < 0.95 * first
    assert made.method == "dataset_condensation" and made.settings["start"] == start
    assert ("codes" in made.latents) == (prior is not None)


def test_a_network_that_is_trained_between_steps_changes_what_is_matched(real):
    once, twice = (distill(real, outer=2, inner=inner, network_lr=0.1) for inner in (1, 5))
    assert not torch.equal(once.floats, twice.floats)
    still = [distill(real, outer=2, inner=inner, network_lr=0.0) for inner in (1, 5)]
    assert torch.equal(still[0].floats, still[1].floats)


def test_result_depends_on_the_seed_alone(real):
    first, again, other = distill(real), distill(real), distill(real, seed=4)
    assert first.digest == again.digest and first.history == again.history and first.digest != other.digest


@pytest.mark.parametrize("prior", [None, TinyPrior()])
def test_resumed_is_uninterrupted(real, tmp_path, interrupt, prior):
    settings = {"ipc": 1, "iterations": 5, "prior": prior, "chunk": 2}
    whole = distill(real, **settings)
    checkpoint = Checkpoint(tmp_path / "dc.pt", "one", 2)
    interrupt(resumable, 3)
    with pytest.raises(KeyboardInterrupt):
        distill(real, checkpoint=checkpoint, **settings)
    interrupt(resumable, None)
    resumed = distill(real, checkpoint=checkpoint, **settings)
    assert whole.digest == resumed.digest and whole.history == resumed.history


def test_impossible_settings_are_refused(real):
    for settings, error, message in [
        ({"iterations": 0}, ValueError, "must be 1 or more"),
        ({"lr": math.nan}, ValueError, "lr and network_lr must be finite"),
        ({"momentum": 1.0}, ValueError, r"momentum in \[0, 1\)"),
        ({"ipc": 13}, SelectionError, "12 pictures, fewer than the 13"),
        ({"network": NETWORK | {"norm": "batch"}}, ValueError, "without BatchNorm"),
    ]:
        with pytest.raises(error, match=message):
            distill(real, **settings)


def test_divergence_is_named(real):
    with pytest.raises(Diverged, match=r"lower lr \(1e\+30\)"):
        distill(real, lr=1e30, iterations=4)
