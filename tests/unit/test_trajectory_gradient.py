"""The gradient of trajectory matching: against autograd through all steps, and what it keeps in memory."""

import weakref

import pytest
import torch
import torch.nn.functional as F
from tiny_classes import NETWORK, few_photos, seeded
from torch.func import functional_call

from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.papers.coreset.trajectories.trajectory_gradient import StudentRun, StudentStep
from srdistill.training.dsa import draw_dsa

BETA = torch.tensor(0.3, dtype=torch.float64)


@pytest.fixture(scope="module")
def case():
    """Double precision: a network, weights to start from and to arrive at, real photographs, their classes, soft labels."""
    real = few_photos(per_class=2)
    network = unit_network(NETWORK, real, 1).double()
    net = FlatNetwork(network)
    begin = net.weights
    target = begin + 0.05 * torch.randn(len(net), generator=seeded(5), dtype=torch.float64)
    pictures = channel_units(real).normalised(real.images.float() / 255).double()
    return net, begin, target, pictures, real.labels, torch.randn(6, 3, generator=seeded(6), dtype=torch.float64)


def steps_of(count: int, batch: int = 4, size: int = 16) -> list[StudentStep]:
    """Different pictures and augmentations in every step; over many seeds all kinds of augmentation."""
    shown = [torch.randperm(6, generator=seeded(k))[:batch] for k in range(count)]
    return [StudentStep(index, draw_dsa(seeded(100 + k), size, batch)) for k, index in enumerate(shown)]


def unrolled(case, labels, steps, truncated=False):
    """Every step in one graph, with named weights and torch's own cross entropy."""
    net, begin, target, pictures, _, _ = case
    pictures, beta = pictures.clone().requires_grad_(), BETA.clone().requires_grad_()
    soft = labels.is_floating_point()
    labels = labels.clone().requires_grad_() if soft else labels
    names = [name for name, _ in net.network.named_parameters()]
    shapes = [weight.shape for weight in net.network.parameters()]
    weights = [part.view(shape) for part, shape in zip(begin.split([s.numel() for s in shapes]), shapes, strict=True)]
    for step in steps:
        # TESLA's code: what earlier pictures did to these weights is forgotten.
        leaves = [(w.detach() if truncated else w).requires_grad_() for w in weights]
        logits = functional_call(net.network, dict(zip(names, leaves, strict=True)), (step.augment(pictures[step.index]),))
        wanted = labels[step.index].softmax(1) if soft else labels[step.index]
        loss = F.cross_entropy(logits, wanted)
        slopes = torch.autograd.grad(loss, leaves, create_graph=True)
        weights = [w - beta * g for w, g in zip(weights, slopes, strict=True)]
    end = torch.cat([w.flatten() for w in weights])
    loss = (end - target).square().sum() / (begin - target).square().sum()
    inputs = [pictures, beta] + ([labels] if soft else [])
    return loss.detach(), *torch.autograd.grad(loss, inputs)


def close(found, wanted):
    assert wanted.norm() > 0
    assert float((found - wanted).norm() / wanted.norm()) < 1e-10


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_exact_is_autograd_through_all_steps(case, count, soft):
    net, begin, target, pictures, hard, logits = case
    labels, steps = logits if soft else hard, steps_of(count)
    run = StudentRun(net, begin, target, pictures, labels, BETA, steps)
    found = run.gradient("exact")
    loss, *wanted = unrolled(case, labels, steps)
    assert float(run.loss) == pytest.approx(float(loss), rel=1e-12)
    close(found.pictures, wanted[0])
    close(found.step_size, wanted[1])
    if soft:
        close(found.labels, wanted[2])
    else:
        assert found.labels is None


@pytest.mark.parametrize("count", [1, 3, 7])
def test_truncated_is_autograd_that_forgets_earlier_pictures(case, count):
    net, begin, target, pictures, _, logits = case
    steps = steps_of(count)
    found = StudentRun(net, begin, target, pictures, logits, BETA, steps).gradient("truncated")
    _, *wanted = unrolled(case, logits, steps, truncated=True)
    close(found.pictures, wanted[0])
    close(found.step_size, wanted[1])
    close(found.labels, wanted[2])


def test_both_are_the_same_at_one_step_and_differ_at_more(case):
    net, begin, target, pictures, labels, _ = case
    apart = {}
    for count in (1, 3, 7):
        run = StudentRun(net, begin, target, pictures, labels, BETA, steps_of(count))
        exact, truncated = run.gradient("exact"), run.gradient("truncated")
        apart[count] = float((exact.pictures - truncated.pictures).norm() / exact.pictures.norm())
        assert (exact.step_size == truncated.step_size) == (count == 1)
    assert apart[1] == 0 and 1e-3 < apart[3] < apart[7]


def test_pictures_that_no_step_saw_have_no_gradient(case):
    net, begin, target, pictures, labels, _ = case
    steps = [StudentStep(torch.tensor([4, 1]), lambda x: x)] * 2
    found = StudentRun(net, begin, target, pictures, labels, BETA, steps).gradient()
    assert found.pictures.flatten(1).norm(dim=1).ne(0).tolist() == [False, True, False, False, True, False]


class Saved:
    """Most bytes at a time that graphs kept for their backward passes, weights and pictures that are kept anyway included."""

    def __init__(self):
        self.now = self.most = 0

    def pack(self, tensor):
        # Detached: a tensor that holds the graph that holds it would never go away.
        box, size = [tensor.detach()], tensor.numel() * tensor.element_size()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(holder := Holder(box), self._freed, size)
        return holder

    def _freed(self, size):
        self.now -= size


class Holder:
    def __init__(self, box):
        self.box = box


def kept(work) -> int:
    saved = Saved()
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda holder: holder.box[0]):
        work()
    return saved.most


def test_graphs_do_not_grow_with_steps(case):
    net, begin, target, pictures, labels, _ = case

    def ours(count):
        # The same augmentation every time: some keep more than others.
        steps = [StudentStep(torch.arange(6), lambda x: x.flip(3))] * count
        return kept(lambda: StudentRun(net, begin, target, pictures, labels, BETA, steps).gradient())

    def through_all(count):
        return kept(lambda: unrolled(case, labels, [StudentStep(torch.arange(6), lambda x: x.flip(3))] * count))

    assert 0 < ours(2) == ours(4) == ours(12)
    assert through_all(4) > 1.8 * through_all(2) > 1.8 * ours(12)


def test_an_unknown_way_is_refused(case):
    net, begin, target, pictures, labels, _ = case
    with pytest.raises(ValueError, match="unknown way to unroll 'half'; there are: exact, truncated"):
        StudentRun(net, begin, target, pictures, labels, BETA, steps_of(1)).gradient("half")


def test_flat_weights_are_the_network(case):
    net, begin, _, pictures, labels, logits = case
    torch.testing.assert_close(net(begin, pictures), net.network(pictures))
    assert len(net) == begin.numel() == sum(weight.numel() for weight in net.network.parameters())
    torch.testing.assert_close(net.loss(begin, pictures, labels), F.cross_entropy(net.network(pictures), labels))
    soft = -(logits.softmax(1) * net.network(pictures).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(net.loss(begin, pictures, logits), soft)
