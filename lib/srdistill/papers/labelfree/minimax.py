"""The two losses of Minimax Diffusion (Gu et al., CVPR 2024), equations 3 and 4 of the label-free paper.

Both compare predicted clean latents with memories of recent ones, class by class, by cosines of whole latents. A
prediction shall be near even the farthest of the recent real latents (representative), and far from the nearest of the
recent predictions (diverse). As in their train_dit.py the extreme is taken over all pairs of a class in the batch: one
worst pair, not one per picture.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.diffusion.terms import StepView, Term


class ClassMemory:
    """The last ``size`` vectors of each class, oldest out first; kept at unit length.

    ``vectors``: (classes, size, width). ``pushed``: int64 (classes,), how many there ever were. Raises ValueError: one of
    ``classes``, ``size`` and ``width`` is below 1.
    """

    def __init__(self, classes: int, size: int, width: int, device: torch.device | str = "cpu"):
        if min(classes, size, width) < 1:
            raise ValueError(f"a memory needs one or more classes, places and values, got {classes}, {size}, {width}")
        self.vectors = torch.zeros(classes, size, width, device=device)
        # How many were ever pushed; the place of the next is that modulo the size.
        self.pushed = torch.zeros(classes, dtype=torch.int64, device=device)

    @property
    def size(self) -> int:
        """Places per class."""
        return self.vectors.shape[1]

    def cosines(self, vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines (B, size) of vectors (B, D) with their class's memory, and which places are filled, (B, size)."""
        found = torch.bmm(self.vectors[labels], F.normalize(vectors, dim=1)[:, :, None])[:, :, 0]
        filled = torch.arange(self.size, device=labels.device) < self.pushed[labels][:, None]
        return found, filled

    @torch.no_grad()
    def push(self, vectors: Tensor, labels: Tensor) -> None:
        """Append vectors (B, D) in their order, forgetting the oldest of a class where it is full."""
        # No more at a time than there are places, so that no two of them want the same.
        for part, names in zip(vectors.detach().split(self.size), labels.split(self.size), strict=True):
            earlier = (names[:, None] == names[None, :]).tril(-1).sum(1)
            self.vectors[names, (self.pushed[names] + earlier) % self.size] = F.normalize(part, dim=1)
            self.pushed += F.one_hot(names, len(self.pushed)).sum(0)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint: ``vectors`` and ``pushed``, in their shapes."""
        return {"vectors": self.vectors, "pushed": self.pushed}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state`` gave, in the same shapes."""
        self.vectors.copy_(state["vectors"])
        self.pushed.copy_(state["pushed"])


def _class_mean(values: Tensor, labels: Tensor, memory: ClassMemory) -> Tensor:
    """Mean over the classes in the batch of values (B,) that are equal within a class; 0 for classes without a memory."""
    values = torch.where(memory.pushed[labels] > 0, values, 0.0)
    members = (labels[:, None] == labels[None, :]).sum(1)
    return (values / members).sum() / (1 / members).sum()


def representativeness(predicted: Tensor, labels: Tensor, real: ClassMemory) -> Tensor:
    """L_r: mean over classes of 1 - min cos(predicted latent, real latent in memory), a scalar; predicted (B, D), labels
    (B,)."""
    cosines, filled = real.cosines(predicted, labels)
    lowest = cosines.masked_fill(~filled, math.inf).amin(1)
    same = labels[:, None] == labels[None, :]
    worst = torch.where(same, lowest[None, :], math.inf).amin(1)
    return _class_mean(1 - worst, labels, real)


def diversity(predicted: Tensor, labels: Tensor, earlier: ClassMemory) -> Tensor:
    """L_d: mean over classes of max cos(predicted latent, earlier prediction in memory), a scalar."""
    cosines, filled = earlier.cosines(predicted, labels)
    highest = cosines.masked_fill(~filled, -math.inf).amax(1)
    same = labels[:, None] == labels[None, :]
    worst = torch.where(same, highest[None, :], -math.inf).amax(1)
    return _class_mean(worst, labels, earlier)


class _Remembering(Term):
    """A term with a memory of latents."""

    def __init__(self, memory: ClassMemory, *, weight: float):
        self.memory, self.weight = memory, weight

    def state(self) -> dict:
        return self.memory.state()

    def restore(self, state: dict) -> None:
        self.memory.restore(state)


class Representative(_Remembering):
    """``representativeness`` of the predicted latents, with a memory of real ones."""

    name = "representative"

    def __call__(self, view: StepView) -> Tensor:
        return representativeness(view.vectors, view.classes, self.memory)

    def after(self, view: StepView) -> None:
        """The real latents of the step join the memory, as vectors (B, C h w)."""
        self.memory.push(view.clean.flatten(1), view.classes)


class Diverse(_Remembering):
    """``diversity`` of the predicted latents, with a memory of earlier predictions."""

    name = "diverse"

    def __call__(self, view: StepView) -> Tensor:
        return diversity(view.vectors, view.classes, self.memory)

    def after(self, view: StepView) -> None:
        """The predictions of the step join the memory, as vectors (B, C h w)."""
        self.memory.push(view.vectors, view.classes)
