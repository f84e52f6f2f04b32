"""Experts: torch's own training of the same network, files, interruptions, tasks, and what is refused before a match."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_classes import NETWORK, few_photos, seeded

from srdistill.files import write_tensors
from srdistill.images.pictures import to_float
from srdistill.images.zca import fit_zca
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network, units_of
from srdistill.papers.coreset.trajectories.expert_labels import agreed_start, label_logits
from srdistill.papers.coreset.trajectories.experts import (
    Expert,
    ExpertError,
    ExpertRecipe,
    check_experts,
    expert_about,
    train_expert,
)
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.papers.coreset.trajectories.steps import EXPERT
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import Task
from srdistill.study.engine.work import Work, perform
from srdistill.study.pictures import labelled
from srdistill.training import resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import Diverged

RECIPE = ExpertRecipe(epochs=3, lr=0.1, batch=8)


@pytest.fixture(scope="module")
def real():
    return few_photos()


def expert(real, seed=3, network=NETWORK, checkpoint=None, **settings):
    recipe = replace(RECIPE, **settings)
    return train_expert(real, generator=seeded(seed), network=network, recipe=recipe, checkpoint=checkpoint)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("zca", [False, True])
def test_is_the_plain_training(momentum, zca):
    real = few_photos(size=8, per_class=6)
    pictures = to_float(real.images)
    seen = fit_zca(real).transform(pictures) if zca else channel_units(real).normalised(pictures)
    net = unit_network(NETWORK, real, derive_seed(3, "expert")).requires_grad_(True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=momentum)
    snapshots, losses, right = [FlatNetwork(net).weights], [], []
    for epoch in range(2):
        draws = generator_for(3, "expert epoch", epoch)
        for index in torch.randperm(18, generator=draws).split(8):
            logits = net(draw_dsa(draws, 8, len(index))(seen[index]))
            loss = F.cross_entropy(logits, real.labels[index], reduction="sum")
            losses.append(loss.item())
            right.append(int((logits.argmax(1) == real.labels[index]).sum()))
            optimizer.zero_grad()
            (loss / len(index)).backward()
            optimizer.step()
        snapshots.append(FlatNetwork(net).weights)
    found = expert(real, epochs=2, momentum=momentum, zca=zca)
    torch.testing.assert_close(found.snapshots, torch.stack(snapshots), rtol=1e-4, atol=1e-6)
    assert torch.equal(found.last, found.snapshots[-1]) and found.epochs == 2
    assert found.history["loss"] == pytest.approx([sum(losses[:3]) / 18, sum(losses[3:]) / 18], rel=1e-5)
    assert found.history["accuracy"] == pytest.approx([100 * sum(right[:3]) / 18, 100 * sum(right[3:]) / 18])


def test_flat_trajectories_by_hand(real):
    """One step: uphill in proportion to the weights, the gradient there, without what lies across it."""
    seen, labels = channel_units(real).normalised(to_float(real.images)), real.labels
    net = FlatNetwork(unit_network(NETWORK, real, derive_seed(3, "expert")))
    order = torch.randperm(36, generator=generator_for(3, "expert epoch", 0))

    def slope(weights):
        leaf = weights.clone().requires_grad_()
        return torch.autograd.grad(net.loss(leaf, seen[order], labels[order]), leaf)[0]

    w = net.weights
    g = slope(w)
    uphill = 0.05 * w.abs() ** 2 * g / (w.abs() * g).norm()
    there = slope(w + uphill)
    across = g - (g @ there) / there.norm() ** 2 * there
    assert abs(across @ there) < 1e-6 < across.norm()
    found = expert(real, epochs=1, batch=36, augment=False, rho=0.05, alpha=0.3)
    torch.testing.assert_close(found.snapshots[1], w - 0.1 * (there - 0.3 * across), rtol=1e-5, atol=1e-7)
    plain = expert(real, epochs=1, batch=36, augment=False)
    torch.testing.assert_close(plain.snapshots[1], w - 0.1 * g, rtol=1e-5, atol=1e-7)


def test_experts_learn(real):
    found = expert(real, epochs=20)
    assert found.history["loss"][-1] < 0.7 * found.history["loss"][0] and found.history["accuracy"][-1] > 60


def test_each_depends_on_its_seed_alone(real):
    first, again, other = expert(real), expert(real), expert(real, seed=4)
    assert torch.equal(first.snapshots, again.snapshots)
    assert not torch.equal(first.snapshots[0], other.snapshots[0])


def test_first_epochs_and_the_last_are_kept(real):
    whole, some = expert(real, epochs=4), expert(real, epochs=4, kept=2)
    assert torch.equal(some.snapshots, whole.snapshots[:3]) and torch.equal(some.last, whole.snapshots[4])


def test_files_give_back_what_was_put_in(real, tmp_path):
    found = expert(real)
    found.save(tmp_path / "expert.safetensors")
    loaded = Expert.load(tmp_path / "expert.safetensors")
    assert torch.equal(loaded.snapshots, found.snapshots) and torch.equal(loaded.last, found.last)
    assert loaded.about == found.about and loaded.history == found.history
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(ExpertError, match="bad.safetensors: not an expert, or damaged .*train it again"):
        Expert.load(tmp_path / "bad.safetensors")
    write_tensors(tmp_path / "other.safetensors", "distilled_set", {}, {})
    with pytest.raises(ExpertError, match="says nothing of a trajectory"):
        Expert.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("at", [1, 3])
def test_resumed_is_uninterrupted(real, tmp_path, interrupt, at):
    settings = {"epochs": 4, "kept": 3, "momentum": 0.9}
    whole = expert(real, **settings)
    checkpoint = Checkpoint(tmp_path / "expert.pt", "one", 1)
    interrupt(resumable, at)
    with pytest.raises(KeyboardInterrupt):
        expert(real, checkpoint=checkpoint, **settings)
    interrupt(resumable, None)
    resumed = expert(real, checkpoint=checkpoint, **settings)
    assert torch.equal(whole.snapshots, resumed.snapshots) and torch.equal(whole.last, resumed.last)
    assert whole.history == resumed.history


def test_a_task_stores_one_and_reads_it(tmp_path):
    photos = labelled("photos", "train", 8, 2)
    settings = {"real": photos, "network": NETWORK, "recipe": replace(RECIPE, epochs=1)}
    tasks = [Task(EXPERT, train_expert, settings, seed, label=f"expert {seed}") for seed in (0, 1)]
    assert tasks[0].key != tasks[1].key
    entry = perform(tasks[0], tmp_path)
    assert entry.value["epochs"] == 1 and len(entry.value["history"]["loss"]) == 1
    found = Work(Store(tmp_path), "cpu").open(tasks[0])
    same = train_expert(photos.load(), generator=generator_for(0, "expert"), network=NETWORK, recipe=settings["recipe"])
    assert torch.equal(found.snapshots, same.snapshots) and found.about == same.about


def test_impossible_settings_are_refused(real):
    for settings, message in [
        ({"epochs": 0}, "must be 1 or more and kept 1 to epochs, got 0, 8 and None"),
        ({"kept": 4}, "got 3, 8 and 4"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": math.nan}, "lr must be above 0"),
        ({"rho": -1.0}, "rho and alpha must be finite and not negative, got -1.0 and 0.0"),
        ({"network": NETWORK | {"norm": "batch"}}, "without BatchNorm"),
    ]:
        with pytest.raises(ValueError, match=message):
            expert(real, **settings)


def test_divergence_is_named(real):
    with pytest.raises(Diverged, match=r"in epoch 1; lower lr \(1e\+30\) or use a network with norm"):
        expert(real, lr=1e30)


def test_experts_that_do_not_fit_are_named(real):
    good, about = expert(real), expert_about(real, NETWORK, channel_units(real))
    count = good.snapshots.shape[1]
    check_experts([good], about, count, 3)
    wide, other = NETWORK | {"width": 9}, few_photos(per_class=11)
    broken = good.snapshots.clone()
    broken[1, 5] = torch.nan
    for experts, message in [
        ([], "too few experts: none; train one or more"),
        ([good, replace(good, snapshots=good.snapshots[:3])], "expert 1 keeps 2 epochs, 3 are needed"),
        ([good, expert(real, network=wide)], "expert 1 is of another network: .*'width': 9.*, not .*'width': 8"),
        ([expert(few_photos(size=8))], "expert 0 is of another size: 8, not 16"),
        ([expert(few_photos(classes=4))], "expert 0 is of another classes: "),
        ([expert(other)], "expert 0 was trained in other units: with other pictures, or with whitening"),
        ([replace(good, snapshots=good.snapshots[:, 1:])], f"expert 0 has {count - 1} weights, the network {count}"),
        ([replace(good, snapshots=broken)], "expert 0 holds NaN or infinity"),
        ([replace(good, last=broken[1])], "expert 0 holds NaN or infinity"),
    ]:
        with pytest.raises(ExpertError, match=message):
            check_experts(experts, about, count, 3)


def test_whitened_units_are_told_from_others(real):
    small = few_photos(size=8)
    cpu = torch.device("cpu")
    abouts = [expert_about(small, NETWORK, units_of(small, zca, cpu)) for zca in (True, False)]
    assert abouts[0]["units"]["kind"] == "zca" and abouts[0] != abouts[1]
    units = units_of(small, True, cpu)
    pictures = to_float(small.images)
    torch.testing.assert_close(units.pictures(units.normalised(pictures)), pictures, rtol=0, atol=1e-4)


# --- What experts say of pictures.


@pytest.fixture(scope="module")
def said(real):
    experts = [expert(real, seed=seed, epochs=4) for seed in (1, 2, 3)]
    net = FlatNetwork(unit_network(NETWORK, real, 0))
    return experts, net, RealBatches(real, channel_units(real), 0, torch.device("cpu"))


def test_pictures_to_start_from_are_named_right(real, said):
    experts, net, batches = said
    logits = net(experts[0].last, channel_units(real).normalised(to_float(real.images)))
    right = [int(((logits.argmax(1) == real.labels) & (real.labels == label)).sum()) for label in range(3)]
    ipc = min(right)
    assert 0 < ipc and sum(right) < 36  # some are named wrong
    start = agreed_start(real, batches, net, experts[0], ipc=ipc, seed=5)
    assert start.labels.tolist() == sorted([0, 1, 2] * ipc)
    chosen = channel_units(real).normalised(to_float(start.images))
    assert torch.equal(net(experts[0].last, chosen).argmax(1), start.labels)
    assert len({image.numpy().tobytes() for image in start.images}) == 3 * ipc
    with pytest.raises(SelectionError, match=f"names {ipc} of its 12 pictures right, {ipc + 1} are needed to start from"):
        agreed_start(real, batches, net, experts[0], ipc=ipc + 1, seed=5)


def test_labels_are_the_mean_of_those_who_are_right(real, said):
    experts, net, _ = said
    pictures, labels = channel_units(real).normalised(to_float(real.images)), real.labels
    found = label_logits(net, experts, pictures, labels)
    counts = set()
    for picture, label, logits in zip(pictures, labels, found, strict=True):
        each = [net(one.last, picture[None])[0] for one in experts]
        right = [one for one in each if int(one.argmax()) == int(label)]
        counts.add(len(right))
        torch.testing.assert_close(logits, torch.stack(right or each).mean(0), rtol=1e-4, atol=1e-5)
    assert len(counts) > 1
