"""What the training loops share: losses that are watched, weights that are checked, pictures that fit the patch."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srdistill.images.pictures import PictureError

# Reading a loss stops a GPU until it has caught up, so it is looked at this rarely.
LOOK_EVERY = 50


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


class LossMeter:
    """Means of one loss over 50 steps; ``history`` and ``pending()`` are all its state.

    ``name`` and ``remedy`` go into the message when the loss is no longer a number.
    """

    def __init__(self, label: str, remedy: str, name: str = "loss"):
        self.label, self.remedy, self.name = label, remedy, name
        self.history: list[float] = []
        self._recent: list[Tensor] = []

    def restore(self, history: list[float], pending: Sequence[float], device: torch.device) -> None:
        """Go on from what a checkpoint holds."""
        self.history = history
        self._recent = [torch.tensor(value, device=device) for value in pending]

    def add(self, loss: Tensor, step: int, last: bool) -> None:
        """Take the loss of ``step`` (from 0); every 50 steps and at the ``last`` one its mean goes into the history.

        Raises:
            TrainingDiverged: the mean is NaN or infinite.
        """
        self._recent.append(loss.detach())
        if len(self._recent) < LOOK_EVERY and not last:
            return
        mean = torch.stack(self._recent).mean()
        if not bool(torch.isfinite(mean)):
            raise TrainingDiverged(f"{self.label}: the {self.name} became {mean.item()} by step {step + 1}; {self.remedy}")
        self.history.append(mean.item())
        self._recent = []

    def pending(self) -> list[float]:
        """Losses that are not yet in the history."""
        return [value.item() for value in self._recent]


def require_finite_weights(network: nn.Module, label: str, remedy: str) -> None:
    """The loss is computed before the step: raise TrainingDiverged if the last step broke the weights."""
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise TrainingDiverged(f"{label}: the last step made the weights NaN; {remedy}")


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def moving_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential average of the weights, starting at those of now; None without a ``decay``."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None


def training_pictures(images: Iterable[Tensor], patch: int, scale: int) -> list[Tensor]:
    """The pictures as a list, after checking that training patches of ``patch`` px can be cut and made smaller.

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
