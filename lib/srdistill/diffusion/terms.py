"""Terms that a method adds to the loss of the diffusion transformer: what they are shown, and what they offer."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepView:
    """What a term may look at in one training step, B pictures; on the device of the training but for ``draws``.

    ``step``: its number, from 0. ``guess``: the clean latents (B, C, h, w) that follow from the predicted noise, with their
    graph; ``clean``: the true ones. ``classes``: labels (B,), also of pictures that the model saw without. ``times``: int64
    (B,), 0..999; ``abar``: (B,), what is left of the signal's energy there. ``index``: int64 (B,), which patches of the data;
    ``mirrored``: bool (B,), whether left and right are exchanged. ``draws``: the step's own generator, on the CPU; terms draw
    from it in their order.
    """

    step: int
    guess: Tensor
    clean: Tensor
    classes: Tensor
    times: Tensor
    abar: Tensor
    index: Tensor
    mirrored: Tensor
    draws: torch.Generator

    @cached_property
    def vectors(self) -> Tensor:
        """``guess`` as (B, C h w); one tensor for all terms, so that their gradients add up in it."""
        return self.guess.flatten(1)


class Term(Protocol):
    """One term of the loss. ``name``: of its history. ``weight``: in the total; above 0, a term that is not wanted is left out.

    A term that keeps nothing from step to step inherits ``after``, ``state`` and ``restore`` as they stand here.
    """

    name: str
    weight: float

    def __call__(self, view: StepView) -> Tensor:
        """The value of this step, a scalar, not yet weighted; gradients flow through ``view.guess``."""

    def after(self, view: StepView) -> None:
        """What is to be done when the weights have made their step: memories take their new members here."""

    def state(self) -> dict:
        """What ``after`` changes, for a checkpoint: tensors, numbers, strings, lists and dicts."""
        return {}

    def restore(self, state: dict) -> None:
        """Go on from what ``state`` gave."""
