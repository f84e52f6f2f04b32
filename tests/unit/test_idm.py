"""IDM: against a plain loop over classes, its queue of networks, and what falls does fall."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_classes import NETWORK, few_photos, seeded

from srdistill.images.pictures import PictureError, to_float
from srdistill.papers.coreset.expanding.coreset_patches import random_coreset
from srdistill.papers.coreset.matching.idm import ImprovedMatching, idm
from srdistill.papers.coreset.matching.network_queue import NetworkQueue
from srdistill.papers.coreset.matching.partition import gathered, partition
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.training import loop, resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import Diverged

TINY = {
    "iterations": 4, "real_batch": 5, "first": 2, "every": 2, "most": 3, "trained": 2, "steps": 2, "network_batch": 9,
    "network_lr": 0.05,
}  # fmt: skip


@pytest.fixture(scope="module")
def real():
    return few_photos()


def distill(real, ipc=1, seed=3, checkpoint=None, **settings):
    return idm(
        real, ipc=ipc, generator=seeded(seed), network=NETWORK, matching=ImprovedMatching(**TINY | settings),
        checkpoint=checkpoint,
    )  # fmt: skip


def test_is_the_plain_loop(real):
    units, seed, ipc = channel_units(real), 3, 2
    batches = RealBatches(real, units, seed, torch.device("cpu"))
    whole = random_coreset(real, ipc=8, factor=1, generator=seeded(seed), scale=(1.0, 1.0))
    pixels = gathered(units.normalised(to_float(whole.images))).requires_grad_()
    optimizer = torch.optim.SGD([pixels], lr=0.2, momentum=0.5)
    nets, trainers, counts, values, made = [], [], [], [], 0
    for k in range(4):
        for _ in range(2 if k == 0 else int(k % 2 == 0)):
            nets.append(unit_network(NETWORK, real, derive_seed(seed, "network", made)).requires_grad_(True))
            trainers.append(torch.optim.SGD(nets[-1].parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4))
            counts.append([0, 0])
            made += 1
        nets, trainers, counts = nets[-3:], trainers[-3:], counts[-3:]
        draws = generator_for(seed, "queue", k)
        chosen = int(torch.randint(len(nets), (), generator=draws))
        right, seen = counts[chosen]
        for label in range(3):
            draw = draw_dsa(generator_for(seed, "siamese", k, label), 16)
            ours = draw(partition(pixels[label * ipc : (label + 1) * ipc]))
            theirs = draw(batches.of_class(label, 5, k))
            distance = (nets[chosen].embed(theirs).mean(0).detach() - nets[chosen].embed(ours).mean(0)).square().sum()
            entropy = F.cross_entropy(nets[chosen](ours), torch.full((8,), label))
            loss = distance + 0.5 * (100 * right / max(1, seen)) * entropy
            optimizer.zero_grad()  # to zeros: momentum of the other classes moves them along
            loss.backward(inputs=[pixels])
            optimizer.step()
            values.append((loss.item(), distance.item(), entropy.item()))
        for turn in range(2):
            picked = int(torch.randint(len(nets), (), generator=draws))
            for step in range(2):
                pictures, labels = batches.of_all(9, k, turn, step)
                logits = nets[picked](pictures)
                trainers[picked].zero_grad()
                F.cross_entropy(logits, labels).backward()
                trainers[picked].step()
                counts[picked][0] += int((logits.argmax(1) == labels).sum())
                counts[picked][1] += 9
    found = distill(real, ipc=ipc)
    torch.testing.assert_close(found.floats, units.pictures(pixels.detach()), rtol=1e-3, atol=1e-4)
    means = torch.tensor(values).unflatten(0, (4, 3)).mean(1).T.tolist()
    for name, wanted in zip(("loss", "distance", "cross_entropy"), means, strict=True):
        assert found.history[name] == pytest.approx(wanted, rel=1e-3)
    assert found.settings["factor"] == 2 and len(found) == 6 and found.images.shape[-1] == 16


def test_losses_fall_on_real_photographs(real, monkeypatch):
    monkeypatch.setattr(loop, "LOOK_EVERY", 10)
    # One network, which is not trained.
    made = distill(real, iterations=40, real_batch=12, lr=0.5, first=1, every=1000, trained=0)
    first, *_, last = made.history["distance"]
    assert last < 0.8 * first and set(made.history["accuracy"]) == {0.0}
    settings = {"iterations": 60, "first": 1, "every": 1000, "trained": 1, "steps": 1, "ce_weight": 3.0}
    made = distill(real, **settings)
    assert made.history["cross_entropy"][-1] < made.history["cross_entropy"][0]
    assert made.history["accuracy"][-1] > max(34, made.history["accuracy"][0])


def test_the_queue_keeps_the_youngest(real):
    queue = NetworkQueue(lambda number: unit_network(NETWORK, real, number), 3, 0.1, 0.9, 0.0)
    for _ in range(5):
        queue.push()
    assert [one.number for one in queue.trainees] == [2, 3, 4]
    assert {queue.pick(seeded(seed)).number for seed in range(30)} == {2, 3, 4}


def test_trainees_count_what_they_know(real):
    queue = NetworkQueue(lambda number: unit_network(NETWORK, real, number), 3, 0.1, 0.9, 0.0)
    queue.push()
    (one,) = queue.trainees
    assert one.accuracy == 0
    pictures, labels = channel_units(real).normalised(to_float(real.images)), real.labels
    before = 100 * (one.network(pictures).argmax(1) == labels).float().mean().item()
    one.train(pictures, labels)
    assert one.accuracy == pytest.approx(before)
    for _ in range(30):
        one.train(pictures, labels)
    assert one.accuracy > max(before, 60) and not any(weight.requires_grad for weight in one.network.parameters())


@pytest.mark.parametrize("at", [2, 5])
def test_resumed_is_uninterrupted(real, tmp_path, interrupt, at):
    whole = distill(real, iterations=7)
    checkpoint = Checkpoint(tmp_path / "idm.pt", "one", 1)
    interrupt(resumable, at)
    with pytest.raises(KeyboardInterrupt):
        distill(real, iterations=7, checkpoint=checkpoint)
    interrupt(resumable, None)
    resumed = distill(real, iterations=7, checkpoint=checkpoint)
    assert whole.digest == resumed.digest and whole.history == resumed.history


def test_impossible_settings_are_refused(real):
    for settings, error, message in [
        ({"iterations": 0}, ValueError, "must be 1 or more"),
        ({"steps": -1}, ValueError, "0 or more"),
        ({"ce_weight": math.nan}, ValueError, "lr, network_lr and ce_weight must be finite"),
        ({"network_momentum": 1.0}, ValueError, "momenta must be in"),
        ({"ipc": 0}, ValueError, "got 0"),
        ({"ipc": 4}, SelectionError, "12 pictures, fewer than the 16"),
        ({"factor": 3}, PictureError, "3 x 3 cells of one size do not fill pictures of 16 px"),
    ]:
        with pytest.raises(error, match=message):
            distill(real, **settings)


def test_divergence_is_named(real):
    with pytest.raises(Diverged, match=r"lower lr \(1e\+30\) or ce_weight \(0.5\)"):
        distill(real, lr=1e30)
