"""The losses of a diffusion training by name, watched and averaged."""

import math

import torch
from torch import Tensor

from srdistill.training.loop import LOOK_EVERY, Diverged


class LossRecord:
    """``history``: means over 50 steps (the last may be fewer) of the total, ``loss``, and of each loss before weighting.

    ``shares``: weight of each loss by name, the order of the history. ``terms``: those whose weight a user can lower.
    """

    def __init__(self, label: str, shares: dict[str, float], terms: set[str], lr: float):
        self.label, self.shares, self.terms, self.lr = label, shares, terms, lr
        self.history: dict[str, list[float]] = {name: [] for name in ("loss", *shares)}
        self._recent: list[Tensor] = []

    def add(self, total: Tensor, losses: dict[str, Tensor], step: int, last: bool) -> None:
        """Take the losses of ``step`` (from 0), scalars; every 50 steps and at the ``last`` one the means go into the history.

        Raises:
            Diverged: a loss is NaN or infinite; names it and the step in which it first was.
        """
        self._recent.append(torch.stack([total.detach(), *(losses[name].detach() for name in self.shares)]))
        if len(self._recent) < LOOK_EVERY and not last:
            return
        values = torch.stack(self._recent).double().cpu()
        self._check(values, step)
        for name, mean in zip(self.history, values.mean(0).tolist(), strict=True):
            self.history[name].append(mean)
        self._recent = []

    def _check(self, values: Tensor, step: int) -> None:
        bad = (~torch.isfinite(values)).nonzero()
        if not len(bad):
            return
        # A step that goes wrong spoils all that follow: the first shows which term it was. The total comes before the terms.
        row = int(bad[0, 0])
        name, value = max(
            (pair for pair in zip(self.history, values[row].tolist(), strict=True) if not math.isfinite(pair[1])),
            key=lambda pair: pair[0] != "loss",
        )
        share = f" or its weight ({self.shares[name]:g})" if name in self.terms else ""
        at = step + 2 - len(values) + row
        raise Diverged(f"{self.label}: the loss {name!r} became {value} in step {at}; lower lr ({self.lr:g}){share}")

    def state(self) -> dict:
        """For a checkpoint."""
        return {"history": self.history, "recent": self._recent}

    def restore(self, state: dict, device: torch.device) -> None:
        """Go on from what ``state`` gave."""
        self.history = state["history"]
        self._recent = [value.to(device) for value in state["recent"]]
