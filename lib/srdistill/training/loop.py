"""What the training loops share: losses that are watched, weights that are checked, pictures that fit the patch."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srdistill.images.pictures import PictureError

# Reading a loss stops a GPU until it has caught up, so it is looked at this rarely.
LOOK_EVERY = 50


class Diverged(RuntimeError):
    """A loss, a distance, or what is being optimised is no longer a number; the message says which, where, and the remedy."""


class LossMeter:
    """Means of one or more losses over 50 steps: ``history`` by name. ``remedy`` is what a diverged training is told."""

    def __init__(self, label: str, remedy: str):
        self.label, self.remedy = label, remedy
        self.history: dict[str, list[float]] = {}
        self._recent: dict[str, list[Tensor]] = {}

    def state(self) -> dict:
        """For a checkpoint: the history, and the losses that are not yet in it."""
        recent = {name: [value.item() for value in values] for name, values in self._recent.items()}
        return {"history": self.history, "recent": recent}

    def restore(self, state: dict, device: torch.device) -> None:
        """Go on from what ``state`` gave."""
        self.history = state["history"]
        self._recent = {
            name: [torch.tensor(value, device=device) for value in values] for name, values in state["recent"].items()
        }

    def add(self, losses: dict[str, Tensor], step: int, last: bool) -> None:
        """Take the losses of ``step`` (from 0), scalars; every 50 steps and at the ``last`` one the means go into the history.

        Raises:
            Diverged: a loss is NaN or infinite; the message names the one that was so first.
        """
        for name, loss in losses.items():
            self._recent.setdefault(name, []).append(loss.detach())
        if max(map(len, self._recent.values())) < LOOK_EVERY and not last:
            return
        values = torch.stack([torch.stack(recent).mean() for recent in self._recent.values()])
        means = dict(zip(self._recent, values.tolist(), strict=True))
        if not all(map(math.isfinite, means.values())):
            name = max(self._recent, key=self._steps_since_broken)
            raise Diverged(f"{self.label}: the {name} became {means[name]} by step {step + 1}; {self.remedy}")
        for name, mean in means.items():
            self.history.setdefault(name, []).append(mean)
        self._recent = {}

    def _steps_since_broken(self, name: str) -> int:
        finite = torch.isfinite(torch.stack(self._recent[name])).tolist()
        return len(finite) - finite.index(False) if False in finite else 0


def require_finite_weights(network: nn.Module, label: str, remedy: str) -> None:
    """The loss is computed before the step: raise Diverged if the last step broke the weights."""
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise Diverged(f"{label}: the last step made the weights NaN; {remedy}")


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def moving_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential average of the weights, starting at those of now; None without a ``decay``."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None


def training_pictures(images: Iterable[Tensor], patch: int, scale: int) -> list[Tensor]:
    """The pictures, ``uint8`` (3, H, W), as a list, after checking that patches of ``patch`` px can be cut and made smaller.

    Raises:
        PictureError: no pictures, or one smaller than the patch. ValueError: the scale does not divide the patch.
    """
    if patch % scale:
        raise ValueError(f"scale {scale} does not divide the training patch of {patch} px; change Recipe.patch")
    images = list(images)
    if not images:
        raise PictureError("no pictures to train on")
    smallest = min(min(image.shape[-2:]) for image in images)
    if smallest < patch:
        raise PictureError(
            f"the training patch of {patch} px does not fit a training picture of {smallest} px; "
            "use a smaller Recipe.patch or leave the picture out"
        )
    return images
