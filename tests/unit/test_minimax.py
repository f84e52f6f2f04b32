"""The Minimax losses: against a plain loop with lists, as the reference keeps its memories; gradients; first in, first out."""

import pytest
import torch

from srdistill.diffusion.terms import StepView
from srdistill.papers.labelfree.minimax import ClassMemory, Diverse, Representative, diversity, representativeness

CLASSES, SIZE, WIDTH = 4, 5, 12


def cosine(a, b):
    return float(a @ b) / float(a.norm()) / float(b.norm())


class Lists:
    """Per class a list of the last vectors, oldest first."""

    def __init__(self):
        self.kept = {label: [] for label in range(CLASSES)}

    def push(self, vectors, labels):
        for vector, label in zip(vectors, labels.tolist(), strict=True):
            self.kept[label] = [*self.kept[label], vector][-SIZE:]

    def loss(self, vectors, labels, kind):
        present = sorted(set(labels.tolist()))
        total = 0.0
        for label in present:
            if not self.kept[label]:
                continue
            pairs = [
                cosine(v, m)
                for v, name in zip(vectors, labels.tolist(), strict=True)
                if name == label
                for m in self.kept[label]
            ]
            total += 1 - min(pairs) if kind == "representative" else max(pairs)
        return total / len(present)


def batches(count, size, seed=0):
    draws = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(size, WIDTH, generator=draws) * 5 + 2, torch.randint(CLASSES, (size,), generator=draws)


@pytest.mark.parametrize("size", [1, 3, 8, 40])
@pytest.mark.parametrize("kind", ["representative", "diverse"])
def test_is_the_plain_loop_over_memories_that_fill_and_overflow(size, kind):
    plain, ours = Lists(), ClassMemory(CLASSES, SIZE, WIDTH)
    loss = {"representative": representativeness, "diverse": diversity}[kind]
    for vectors, labels in batches(12, size):
        assert float(loss(vectors, labels, ours)) == pytest.approx(plain.loss(vectors, labels, kind), abs=1e-5)
        plain.push(vectors, labels)
        ours.push(vectors, labels)
    assert int(ours.pushed.sum()) == 12 * size


@pytest.mark.parametrize("loss", [representativeness, diversity])
def test_nothing_in_memory_is_no_loss_and_no_gradient(loss):
    vectors = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = loss(vectors, torch.tensor([0, 1, 1]), ClassMemory(CLASSES, SIZE, WIDTH))
    (gradient,) = torch.autograd.grad(value, vectors)
    assert float(value) == 0 and torch.equal(gradient, torch.zeros_like(vectors))


@pytest.mark.parametrize("loss", [representativeness, diversity])
def test_only_the_worst_pair_of_a_class_gets_a_gradient(loss):
    memory = ClassMemory(CLASSES, SIZE, WIDTH)
    (known, names), (vectors, _) = batches(2, 8)
    memory.push(known, names)
    vectors.requires_grad_()
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    (gradient,) = torch.autograd.grad(loss(vectors, labels, memory), vectors)
    moved = gradient.abs().amax(1) > 0
    filled = set(names.tolist())
    for label in range(3):
        assert int(moved[labels == label].sum()) == (1 if label in filled else 0)


@pytest.mark.parametrize("loss", [representativeness, diversity])
def test_gradient_agrees_with_finite_differences(loss):
    memory = ClassMemory(CLASSES, SIZE, WIDTH)
    memory.vectors = memory.vectors.double()
    (known, names), (vectors, labels) = batches(2, 6)
    memory.push(known.double(), names)
    leaf = vectors.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(v, labels, memory), (leaf,))


def test_memory_keeps_no_graph_and_survives_a_checkpoint():
    memory, other = ClassMemory(CLASSES, SIZE, WIDTH), ClassMemory(CLASSES, SIZE, WIDTH)
    for vectors, labels in batches(5, 4):
        memory.push(vectors.requires_grad_(), labels)
    assert not memory.vectors.requires_grad
    other.restore({name: tensor.clone() for name, tensor in memory.state().items()})
    vectors, labels = next(batches(1, 4, seed=9))
    for one in (memory, other):
        one.push(vectors, labels)
    assert torch.equal(memory.vectors, other.vectors) and torch.equal(memory.pushed, other.pushed)


def test_a_memory_of_nothing_is_refused():
    with pytest.raises(ValueError, match="one or more classes, places and values, got 3, 0, 2"):
        ClassMemory(3, 0, 2)


def view_of(guess, clean, labels):
    shape = (len(labels), WIDTH, 1, 1)
    nothing = torch.zeros(len(labels))
    return StepView(0, guess.view(shape), clean.view(shape), labels, nothing, nothing, nothing, nothing, torch.Generator())


@pytest.mark.parametrize("kind", [Representative, Diverse])
def test_terms_ask_before_they_remember_and_remember_real_or_predicted_latents(kind):
    memory, plain = ClassMemory(CLASSES, SIZE, WIDTH), ClassMemory(CLASSES, SIZE, WIDTH)
    term, loss = kind(memory, weight=0.5), {Representative: representativeness, Diverse: diversity}[kind]
    assert term.weight == 0.5 and term.name == kind.name
    for (guess, labels), (clean, _) in zip(batches(4, 6), batches(4, 6, seed=1), strict=True):
        view = view_of(guess, clean, labels)
        assert torch.equal(term(view), loss(guess, labels, plain))
        term.after(view)
        plain.push(clean if kind is Representative else guess, labels)
        assert torch.equal(memory.vectors, plain.vectors)
    other = kind(ClassMemory(CLASSES, SIZE, WIDTH), weight=0.5)
    other.restore({name: tensor.clone() for name, tensor in term.state().items()})
    assert torch.equal(other(view), term(view)) and float(term(view)) != 0
