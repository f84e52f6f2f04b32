"""Trajectory matching: against plain unrolled steps, MTT's, TESLA's and DATM's settings, and what is refused."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_classes import NETWORK, few_photos, seeded
from tiny_prior import TinyPrior
from torch.func import functional_call

from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import build_classifier
from srdistill.papers.coreset.expanding.coreset_patches import random_coreset
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.papers.coreset.trajectories.expert_labels import label_logits
from srdistill.papers.coreset.trajectories.experts import ExpertError, ExpertRecipe, train_expert
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.papers.coreset.trajectories.trajectory_matching import TrajectoryMatching, trajectory_matching
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.learned_set import load_set, targets_of
from srdistill.training import loop, resumable
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import Diverged

EXPERTS = ExpertRecipe(epochs=4, lr=0.1, batch=8)
TINY = {"iterations": 3, "steps": 3, "span": 1, "start_below": 3, "lr": 30.0, "step_size": 0.05, "lr_step": 1e-3}


@pytest.fixture(scope="module")
def real():
    return few_photos()


@pytest.fixture(scope="module")
def experts(real):
    return [train_expert(real, generator=seeded(seed), network=NETWORK, recipe=EXPERTS) for seed in (1, 2)]


def distill(real, experts, ipc=1, seed=3, network=NETWORK, start="real", prior=None, chunk=10, checkpoint=None, **settings):
    return trajectory_matching(
        real, ipc=ipc, generator=seeded(seed), network=network, experts=experts, matching=TrajectoryMatching(**TINY | settings),
        start=start, prior=prior, chunk=chunk, checkpoint=checkpoint,
    )  # fmt: skip


def plain_loop(real, experts, ipc, matching, seed, logits=None):
    """All steps of a student in one graph, of named weights; torch's own SGD for pictures, labels and step size."""
    units, net = channel_units(real), unit_network(NETWORK, real, 0)
    whole = random_coreset(real, ipc=ipc, factor=1, generator=seeded(seed), scale=(1.0, 1.0))
    pixels = units.normalised(to_float(whole.images)).requires_grad_()
    beta = torch.tensor(matching.step_size, requires_grad=True)
    labels = whole.labels if logits is None else logits.clone().requires_grad_()
    optimizers = [torch.optim.SGD([x], lr=lr, momentum=0.5) for x, lr in ((pixels, matching.lr), (beta, matching.lr_step))]
    if logits is not None:
        optimizers.append(torch.optim.SGD([labels], lr=matching.label_lr, momentum=0.9))
    shapes = {name: weight.shape for name, weight in net.named_parameters()}
    losses, sizes, count = [], [], len(pixels)
    for k in range(matching.iterations):
        order = torch.randperm(len(experts), generator=generator_for(seed, "experts", k // len(experts)))
        chosen = experts[int(order[k % len(experts)])]
        low, high = matching.starts(k)
        epoch = int(torch.randint(low, high, (), generator=generator_for(seed, "start epoch", k)))
        begin, target = chosen.snapshots[epoch], chosen.snapshots[epoch + matching.span]
        parts = begin.split([shape.numel() for shape in shapes.values()])
        weights = {
            name: part.view(shape).requires_grad_() for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }
        draws, chunks = generator_for(seed, "student order", k), []
        for step in range(matching.steps):
            chunks = chunks or list(torch.randperm(count, generator=draws).split(matching.batch or count))
            index = chunks.pop(0)
            seen = pixels[index]
            if matching.augment:
                seen = draw_dsa(generator_for(seed, "student", k, step), 16, len(index))(seen)
            wanted = labels[index] if logits is None else labels[index].softmax(1)
            loss = F.cross_entropy(functional_call(net, weights, (seen,)), wanted)
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {name: w - beta * g for (name, w), g in zip(weights.items(), slopes, strict=True)}
        end = torch.cat([weight.flatten() for weight in weights.values()])
        loss = (end - target).square().sum() / (begin - target).square().sum()
        losses.append(loss.item())
        sizes.append(beta.item())
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward(inputs=[pixels, beta] + ([] if logits is None else [labels]))
        for optimizer in optimizers:
            optimizer.step()
    return units.pictures(pixels.detach()), beta.item(), labels.detach(), losses, sizes


@pytest.mark.parametrize("settings", [{}, {"batch": 2, "steps": 4}, {"augment": False, "grow_from": 1, "grow_over": 2}])
def test_is_the_plain_loop(real, experts, settings):
    matching = TrajectoryMatching(**TINY | settings)
    expected, step_size, _, losses, sizes = plain_loop(real, experts, 1, matching, 3)
    found = distill(real, experts, **settings)
    torch.testing.assert_close(found.floats, expected, rtol=1e-3, atol=1e-4)
    assert found.step_size == pytest.approx(step_size, rel=1e-4) and found.step_size != TINY["step_size"]
    assert found.history["loss"] == pytest.approx(losses, rel=1e-4)
    assert found.history["step_size"] == pytest.approx(sizes, rel=1e-5)
    assert found.label_logits is None and found.labels.tolist() == [0, 1, 2] and found.settings["experts"] == 2


def test_learned_labels_are_the_plain_loop(real, experts):
    units, net = channel_units(real), FlatNetwork(unit_network(NETWORK, real, 0))
    whole = random_coreset(real, ipc=2, factor=1, generator=seeded(3), scale=(1.0, 1.0))
    begin = label_logits(net, experts, units.normalised(to_float(whole.images)), whole.labels)
    settings = {"label_lr": 2.0, "batch": 4}
    matching = TrajectoryMatching(**TINY | settings)
    expected, _, logits, losses, _ = plain_loop(real, experts, 2, matching, 3, begin)
    found = distill(real, experts, ipc=2, **settings)
    torch.testing.assert_close(found.floats, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.label_logits, logits, rtol=1e-3, atol=1e-4)
    assert (found.label_logits - begin).abs().max() > 0.01 and torch.equal(targets_of(found), found.label_logits)
    assert found.history["loss"] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize(
    ("start", "prior", "settings"),
    [
        ("real", None, {"unrolled": "exact"}),
        ("noise", None, {"unrolled": "truncated"}),
        ("agreed", None, {"label_lr": 5.0, "threshold": 2.0}),
        ("real", TinyPrior(), {"lr": 3.0}),
    ],
)
def test_the_loss_falls_on_real_photographs(real, experts, monkeypatch, start, prior, settings):
    monkeypatch.setattr(loop, "LOOK_EVERY", 6)
    shared = {"start": start, "prior": prior, "steps": 5, "start_below": 1, "augment": False} | settings
    made = distill(real, experts[:1], iterations=24, **shared)
    first, *_, last = made.history["loss"]
    assert last < 0.95 * first and last < 1
    assert made.settings["start"] == start and ("codes" in made.latents) == (prior is not None)
    if start == "agreed":  # a start does not hand on labels
        return
    # Not by the step size alone: at the same rate the pictures that it started from lead less far.
    once = shared | {"iterations": 1, "step_size": made.step_size}
    before, after = (distill(real, experts[:1], **once | {"start": begin}) for begin in (start, made))
    assert after.history["loss"][0] < before.history["loss"][0]


def test_truncated_differs_where_there_is_more_than_one_step(real, experts):
    for steps, equal in ((1, True), (3, False)):
        made = [distill(real, experts, steps=steps, unrolled=kind) for kind in ("exact", "truncated")]
        assert torch.equal(made[0].floats, made[1].floats) == equal
        assert (made[0].step_size == made[1].step_size) == equal


def test_updates_above_the_threshold_are_skipped(real, experts):
    made = distill(real, experts, threshold=1e-6, label_lr=5.0, lr_step=1.0)
    control = random_coreset(real, ipc=1, factor=1, generator=seeded(), scale=(1.0, 1.0))
    assert made.settings["skipped"] == 3 and made.step_size == pytest.approx(0.05)
    assert torch.equal(made.images, control.images) and len(made.history["loss"]) == 3
    assert distill(real, experts, threshold=1e6).settings["skipped"] == 0


def test_the_step_size_stays_positive_and_it_is_said(real, experts):
    made = distill(real, experts, iterations=12, lr=0.0, step_size=2.0, lr_step=10.0, lowest_step=0.01, steps=2)
    assert made.step_size > 0.00999 and made.settings["held"] >= 1
    assert distill(real, experts).settings["held"] == 0


def test_the_window_of_starts_grows():
    fixed = TrajectoryMatching(start_from=1, start_below=5)
    assert [fixed.starts(k) for k in (0, 4999)] == [(1, 5), (1, 5)]
    grown = TrajectoryMatching(start_from=1, start_below=10, grow_from=2, grow_over=16)
    assert [grown.starts(k)[1] for k in (0, 1, 2, 8, 15, 16, 99)] == [2, 2, 3, 6, 9, 10, 10]


def test_all_experts_and_all_epochs_have_their_turn(real, experts, monkeypatch):
    from srdistill.papers.coreset.trajectories import trajectory_matching as module

    seen = []

    class Recorded(module.StudentRun):
        def __init__(self, net, begin, target, *rest):
            for number, one in enumerate(experts):
                for epoch in range(3):
                    if torch.equal(begin, one.snapshots[epoch]) and torch.equal(target, one.snapshots[epoch + 1]):
                        seen.append((number, epoch))
            super().__init__(net, begin, target, *rest)

    monkeypatch.setattr(module, "StudentRun", Recorded)
    distill(real, experts, iterations=40, steps=1, augment=False)
    assert len(seen) == 40 and len(set(seen)) == 6
    assert [sum(number == one for number, _ in seen) for one in (0, 1)] == [20, 20]


def test_result_depends_on_the_seed_alone(real, experts):
    first, again, other = distill(real, experts), distill(real, experts), distill(real, experts, seed=4)
    assert first.digest == again.digest and first.history == again.history and first.digest != other.digest


def test_chunks_of_codes_change_nothing(real, experts):
    whole, parts = (distill(real, experts, prior=TinyPrior(), lr=3.0, chunk=chunk) for chunk in (100, 2))
    torch.testing.assert_close(whole.latents["codes"], parts.latents["codes"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("prior", "settings"), [(None, {"label_lr": 2.0, "threshold": 1.05}), (TinyPrior(), {"lr": 3.0, "lowest_step": 0.05})]
)
@pytest.mark.parametrize("at", [2, 5])
def test_resumed_is_uninterrupted(real, experts, tmp_path, interrupt, prior, settings, at):
    settings = settings | {"iterations": 7, "prior": prior}
    whole = distill(real, experts, **settings)
    checkpoint = Checkpoint(tmp_path / "mtt.pt", "one", 1)
    interrupt(resumable, at)
    with pytest.raises(KeyboardInterrupt):
        distill(real, experts, checkpoint=checkpoint, **settings)
    interrupt(resumable, None)
    resumed = distill(real, experts, checkpoint=checkpoint, **settings)
    assert whole.digest == resumed.digest and whole.history == resumed.history and whole.settings == resumed.settings


def test_whitened_pictures_are_learned_and_come_back_as_pictures():
    small = few_photos(size=8)
    recipe = replace(EXPERTS, zca=True)
    experts = [train_expert(small, generator=seeded(1), network=NETWORK, recipe=recipe)]
    made = distill(small, experts, zca=True, iterations=1, lr=0.0)
    control = random_coreset(small, ipc=1, factor=1, generator=seeded(), scale=(1.0, 1.0))
    torch.testing.assert_close(made.floats, to_float(control.images), rtol=0, atol=1e-3)
    moved = distill(small, experts, zca=True)
    assert (moved.floats - made.floats).abs().max() > 0.01
    with pytest.raises(ExpertError, match="in other units: with other pictures, or with whitening"):
        distill(small, experts, zca=False)


def test_impossible_settings_are_refused(real, experts):
    for settings, error, message in [
        ({"iterations": 0}, ValueError, "must be 1 or more"),
        ({"batch": 0}, ValueError, "steps, span and batch must be 1 or more"),
        ({"start_from": 3}, ValueError, "starts lie in start_from <= t < start_below"),
        ({"grow_from": 4}, ValueError, "with grow_from between the two, got 0, 3 and 4"),
        ({"lr": math.nan}, ValueError, "rates must be finite"),
        ({"step_size": -0.1}, ValueError, "must be positive and not below lowest_step, got -0.1 and 0.0001; a negative"),
        ({"lowest_step": 0.0}, ValueError, "got 0.05 and 0.0"),
        ({"threshold": 0.0}, ValueError, "threshold must be above 0"),
        ({"unrolled": "half"}, ValueError, "unknown way to unroll 'half'"),
        ({"ipc": 0}, ValueError, "got 0"),
        ({"ipc": 13}, SelectionError, "12 pictures, fewer than the 13"),
        ({"ipc": 13, "start": "agreed"}, SelectionError, "of its 12 pictures right, 13 are needed"),
        ({"start_below": 5}, ExpertError, "expert 0 keeps 4 epochs, 5 are needed"),
        ({"network": NETWORK | {"width": 9}}, ExpertError, "expert 0 is of another network"),
    ]:
        with pytest.raises(error, match=message):
            distill(real, experts, **settings)
    with pytest.raises(ExpertError, match="too few experts: none"):
        distill(real, [])


def test_experts_that_did_not_move_are_named(real, experts):
    still = replace(experts[0], snapshots=experts[0].snapshots[:1].repeat(5, 1))
    with pytest.raises(ExpertError, match=r"expert 0 has the same weights after \d and \d epochs"):
        distill(real, [still])


def test_divergence_is_named(real, experts):
    with pytest.raises(Diverged, match=r"the loss became .* in iteration \d; lower lr \(1e\+30\), lr_step \(0.001\)"):
        distill(real, experts, lr=1e30, iterations=6)


def test_a_student_learns_from_the_learned_pictures(real, experts):
    """Trained at the learned step size on three pictures, without augmentation, it names more of the real ones right."""
    made = distill(real, experts, iterations=20, steps=6, start_below=1, lr=100.0)
    mean, std = real.statistics
    right = {}
    for name, pictures in (("learned", made.floats), ("untrained", None)):
        net = build_classifier(classes=real.classes, size=16, seed=77, mean=mean, std=std, **NETWORK)
        optimizer = torch.optim.SGD(net.parameters(), lr=made.step_size)
        for _ in range(60 if pictures is not None else 0):
            optimizer.zero_grad()
            F.cross_entropy(net(pictures), made.labels).backward()
            optimizer.step()
        right[name] = (net(to_float(real.images)).argmax(1) == real.labels).float().mean().item()
    assert right["learned"] > max(0.5, right["untrained"])


def test_sets_survive_the_file(real, experts, tmp_path):
    made = distill(real, experts, label_lr=2.0, prior=TinyPrior(), lr=3.0)
    made.save(tmp_path / "set.safetensors")
    loaded = load_set(tmp_path / "set.safetensors")
    assert loaded.digest == made.digest and loaded.settings == made.settings and loaded.step_size == made.step_size
    assert torch.equal(loaded.latents["codes"], made.latents["codes"])
