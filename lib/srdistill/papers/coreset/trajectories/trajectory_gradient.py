"""The gradient of trajectory matching with respect to pictures, labels and step size, in memory that does not grow with steps.

A student makes N steps of plain SGD, theta[i+1] = theta[i] - beta g_i, with g_i the gradient of its loss on batch i; the loss
of the match is L = |theta[N] - target|^2 / |theta[0] - target|^2 (Cazenavette et al. 2022, equation 2). Unrolling keeps the
graph of every step. Here the steps are first made without any; then the adjoint lambda = dL/dtheta runs back over them,
from 2 (theta[N] - target) / D, and each step is made again with a graph of its own:

    dL/dbeta += -<lambda, g_i>,   dL/dx_i = -beta d<lambda, g_i>/dx_i,   lambda += -beta d<lambda, g_i>/dtheta[i]

That is exact. TESLA (Cui et al., ICML 2023) leaves the last of these out, as its code detaches the weights of a step from
earlier pictures; its text promises the same gradient. Beside one graph there are the N + 1 vectors of weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork

UNROLLED = ("exact", "truncated")


@dataclass(frozen=True)
class StudentStep:
    """Of a student: positions of its pictures, each at most once, and how they are augmented, the same whenever asked."""

    index: Tensor
    augment: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TrajectoryGradient:
    """The derivatives of L. ``labels``: None where they are classes. ``step_size``: a scalar."""

    pictures: Tensor
    labels: Tensor | None
    step_size: Tensor


class StudentRun:
    """A student's ``steps`` from the weights ``begin`` (P,), made without a graph, and how near to ``target`` (P,) they led.

    ``pictures``: (N, 3, S, S) in units. ``labels``: classes (N,) or learned logits (N, K). ``step_size``: beta, a scalar.
    ``loss``: L, a scalar.
    """

    def __init__(
        self,
        net: FlatNetwork,
        begin: Tensor,
        target: Tensor,
        pictures: Tensor,
        labels: Tensor,
        step_size: Tensor,
        steps: Sequence[StudentStep],
    ):
        self.net, self.steps = net, steps
        self.pictures, self.labels, self.step_size = pictures.detach(), labels.detach(), step_size.detach()
        self.weights = [begin.detach()]
        for step in steps:
            leaf = self.weights[-1].detach().requires_grad_()
            loss = net.loss(leaf, step.augment(self.pictures[step.index]), self.labels[step.index])
            self.weights.append(leaf.detach() - self.step_size * torch.autograd.grad(loss, leaf)[0])
        rest, self.apart = self.weights[-1] - target, (begin - target).square().sum()
        self.slope = 2 * rest / self.apart
        self.loss = rest.square().sum() / self.apart

    def gradient(self, unrolled: str = "exact") -> TrajectoryGradient:
        """dL with respect to pictures, labels and step size; ``unrolled``: ``exact``, or ``truncated`` as in TESLA's code.

        Raises ValueError: unknown ``unrolled``.
        """
        check_unrolled(unrolled)
        adjoint, pictures, step_size = self.slope, torch.zeros_like(self.pictures), torch.zeros_like(self.step_size)
        labels = torch.zeros_like(self.labels) if self.labels.is_floating_point() else None
        for step, begin in zip(reversed(self.steps), reversed(self.weights[:-1]), strict=True):
            found = self._back(step, begin, adjoint, unrolled == "exact")
            pictures[step.index] += found["pictures"]
            step_size += found["step_size"]
            if labels is not None:
                labels[step.index] += found["labels"]
            if unrolled == "exact":
                adjoint = adjoint + found["weights"]
        return TrajectoryGradient(pictures, labels, step_size)

    def _back(self, step: StudentStep, begin: Tensor, adjoint: Tensor, through: bool) -> dict[str, Tensor]:
        """What ``step``, from the weights ``begin``, hands on of ``adjoint``: to its pictures and labels, to the step size,
        and, ``through`` it, to the weights. Its graph ends with the call."""
        weights, seen, labels = begin.detach().requires_grad_(), self.pictures[step.index], self.labels[step.index]
        inputs = {"pictures": seen.requires_grad_()}
        if labels.is_floating_point():
            inputs["labels"] = labels.requires_grad_()
        if through:
            inputs["weights"] = weights
        (slope,) = torch.autograd.grad(self.net.loss(weights, step.augment(seen), labels), weights, create_graph=True)
        found = torch.autograd.grad(slope, list(inputs.values()), -self.step_size * adjoint)
        return dict(zip(inputs, found, strict=True)) | {"step_size": -(adjoint * slope.detach()).sum()}


def check_unrolled(unrolled: str) -> None:
    """Raise ValueError unless it is one of ``UNROLLED``."""
    if unrolled not in UNROLLED:
        raise ValueError(f"unknown way to unroll {unrolled!r}; there are: {', '.join(UNROLLED)}")
