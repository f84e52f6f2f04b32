"""Distribution matching: the batched step against a loop over classes, the loss by hand, and what falls does fall."""

import math

import pytest
import torch
from tiny_classes import NETWORK, few_photos, seeded
from tiny_prior import TinyPrior

from srdistill.papers.coreset.matching import distribution_matching as module
from srdistill.papers.coreset.matching.distribution_matching import (
    DistributionMatching,
    class_means,
    distances,
    distribution_matching,
)
from srdistill.papers.coreset.matching.learned import begin
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.training import loop, resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import Diverged

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def real():
    return few_photos()


def distill(real, ipc=2, seed=3, network=NETWORK, start="real", prior=None, chunk=10, checkpoint=None, **settings):
    matching = DistributionMatching(**{"iterations": 3, "real_batch": 5} | settings)
    return distribution_matching(
        real, ipc=ipc, generator=seeded(seed), network=network, matching=matching, start=start, prior=prior, chunk=chunk,
        checkpoint=checkpoint,
    )  # fmt: skip


class Sums(torch.nn.Module):
    """Two features of a picture: the sum of its first channel, and its first pixel."""

    def embed(self, pictures):
        return torch.stack([pictures[:, 0].sum((1, 2)), pictures[:, 0, 0, 0]], 1)


def test_the_loss_by_hand():
    pictures = torch.zeros(4, 3, 2, 2)
    pictures[:, 0, 0, 0] = torch.tensor([1.0, 3.0, 5.0, 9.0])  # two classes of two, their means 2 and 7
    targets = class_means(Sums(), [torch.zeros(3, 3, 2, 2), torch.ones(5, 3, 2, 2)])
    assert targets.tolist() == [[0, 0], [4, 1]]
    # (2 - 0)^2 twice; (7 - 4)^2 + (7 - 1)^2: sums over features.
    assert distances(Sums(), pictures, targets).tolist() == [8, 45]


@pytest.mark.parametrize("group", [1, 16 * 16 * 7, 2**22])
def test_means_do_not_depend_on_how_classes_are_grouped(real, monkeypatch, group):
    monkeypatch.setattr(module, "_GROUP_PIXELS", group)
    network, batches = unit_network(NETWORK, real, 1), [torch.randn(n, 3, 16, 16, generator=seeded(n)) for n in (4, 1, 6)]
    expected = torch.stack([network.embed(batch).mean(0) for batch in batches])
    torch.testing.assert_close(class_means(network, batches), expected)
    assert expected.shape == (3, 8 * 4 * 4)


@pytest.mark.parametrize("augment", [True, False])
def test_batched_steps_are_those_of_a_loop_over_classes(real, augment):
    units, seed, ipc = channel_units(real), 3, 2
    batches = RealBatches(real, units, seed, CPU)
    pixels = begin(real, ipc=ipc, start="real", units=units, lr=0, momentum=0, generator=seeded(seed), device=CPU).units()
    pixels = pixels.clone().requires_grad_()
    optimizer, values = torch.optim.SGD([pixels], lr=1.0, momentum=0.5), []
    for k in range(3):
        net = unit_network(NETWORK, real, derive_seed(seed, "network", k))
        optimizer.zero_grad()
        for label in range(3):
            draw = draw_dsa(generator_for(seed, "siamese", k, label), 16) if augment else lambda pictures: pictures
            theirs = draw(batches.of_class(label, 5, k))
            ours = draw(pixels[label * ipc : (label + 1) * ipc])
            loss = (net.embed(theirs).mean(0) - net.embed(ours).mean(0)).square().sum()
            loss.backward()  # one class after another: gradients add up
            values.append(loss.item())
        optimizer.step()
    found = distill(real, augment=augment)
    torch.testing.assert_close(found.floats, units.pictures(pixels.detach()), rtol=1e-4, atol=1e-5)
    assert found.history["distance"] == pytest.approx(torch.tensor(values).view(3, 3).mean(1).tolist(), rel=1e-4)


@pytest.mark.parametrize(("start", "prior"), [("real", None), ("noise", None), ("real", TinyPrior())])
def test_the_distance_falls_on_real_photographs(real, monkeypatch, start, prior):
    monkeypatch.setattr(loop, "LOOK_EVERY", 10)
    lr = 1.0 if prior is None else 0.05
    made = distill(real, ipc=1, iterations=40, real_batch=12, lr=lr, start=start, prior=prior)
    first, *_, last = made.history["distance"]
    assert last < 0.8 * first
    assert made.method == "distribution_matching" and made.settings["lr"] == lr
    assert ("codes" in made.latents) == (prior is not None)


def test_real_pictures_themselves_are_at_no_distance(real):
    made = distill(real, ipc=12, real_batch=12, iterations=1)
    assert made.history["distance"][0] < 1e-8


def test_result_depends_on_the_seed_alone(real):
    first, again, other = distill(real), distill(real), distill(real, seed=4)
    assert first.digest == again.digest and first.history == again.history and first.digest != other.digest


def test_chunks_of_codes_change_nothing(real):
    whole, parts = (distill(real, prior=TinyPrior(), lr=0.05, chunk=chunk) for chunk in (100, 2))
    torch.testing.assert_close(whole.latents["codes"], parts.latents["codes"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prior", [None, TinyPrior()])
def test_resumed_is_uninterrupted(real, tmp_path, interrupt, prior):
    whole = distill(real, iterations=7, prior=prior)
    checkpoint = Checkpoint(tmp_path / "dm.pt", "one", 2)
    interrupt(resumable, 5)
    with pytest.raises(KeyboardInterrupt):
        distill(real, iterations=7, prior=prior, checkpoint=checkpoint)
    interrupt(resumable, None)
    resumed = distill(real, iterations=7, prior=prior, checkpoint=checkpoint)
    assert whole.digest == resumed.digest and whole.history == resumed.history


def test_impossible_settings_are_refused(real):
    for settings, error, message in [
        ({"iterations": 0}, ValueError, "must be 1 or more, got 0 and 5"),
        ({"lr": -1.0}, ValueError, "lr must be finite and not negative"),
        ({"lr": math.inf}, ValueError, "got inf"),
        ({"ipc": 13}, SelectionError, "12 pictures, fewer than the 13"),
        ({"network": NETWORK | {"norm": "batch"}}, ValueError, "without BatchNorm"),
    ]:
        with pytest.raises(error, match=message):
            distill(real, **settings)


def test_divergence_is_named(real):
    with pytest.raises(Diverged, match=r"lower lr \(1e\+30\)"):
        distill(real, lr=1e30, iterations=5)
