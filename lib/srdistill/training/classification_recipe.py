"""How a classifier is trained: everything that the result depends on besides pictures, labels, network and seed."""

import math
from dataclasses import dataclass

from torch import Tensor

SCHEDULES = {"half cosine": 2.0, "full cosine": 1.0}
SOFT_LOSSES = ("divergence", "squares")


@dataclass(frozen=True)
class ClassificationRecipe:
    """AdamW over ``epochs``; the defaults are what RDED trains its students with.

    ``batch``: the largest one; an epoch is divided into batches that differ by one picture at most. ``shuffle``: in an order
    of its own; False: as the source gives the pictures, for sources that shuffle and augment by batches. ``lr``, ``betas``,
    ``weight_decay``: of AdamW; the decay is left off one-dimensional weights (biases, norms). ``schedule``: of the rate, per
    epoch e of E; ``half cosine`` 0.5 (1 + cos(pi e / 2E)), which ends at half the rate, as in RDED's code, or
    ``full cosine`` 0.5 (1 + cos(pi e / E)), which ends at zero. ``temperature``: T of the soft labels.

    ``soft_loss``: how soft labels enter, as ``divergence`` of tempered probabilities, or as ``squares``, the mean squared
    difference of logits, which has no temperature. ``hard_weight``: of the cross entropy to the class that a picture has before
    CutMix, added to the loss of soft labels; 0 for none. G-VBSM has ``squares`` and 0.15 (train/train_FKD.py).

    Augmentation, drawn anew for every picture: ``collage`` r > 1 says that pictures are collages of r x r cells, whose rows
    and columns are shuffled first; ``crop_scale`` is the range of the share of the area that a random resized crop
    keeps, (1, 1) for none; ``flip`` flips left-right half of the time; ``cutmix`` pastes a box of another picture of
    the batch, its area uniform (Beta(1, 1)), into every batch.
    ``precision``: ``fp32`` or ``bf16`` (autocast).
    """

    epochs: int
    batch: int = 100
    shuffle: bool = True
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    schedule: str = "half cosine"
    temperature: float = 20.0
    soft_loss: str = "divergence"
    hard_weight: float = 0.0
    collage: int = 1
    crop_scale: tuple[float, float] = (0.5, 1.0)
    flip: bool = True
    cutmix: bool = True
    precision: str = "fp32"
    channels_last: bool = False

    def __post_init__(self):
        allowed = {"schedule": tuple(SCHEDULES), "precision": ("fp32", "bf16"), "soft_loss": SOFT_LOSSES}
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"classification recipe: {name} is {getattr(self, name)!r}; it can be {', '.join(choices)}")
        if min(self.epochs, self.batch, self.collage) < 1:
            raise ValueError(
                "classification recipe: epochs, batch and collage must be 1 or more, got "
                f"{self.epochs}, {self.batch} and {self.collage}"
            )
        if self.lr <= 0 or self.temperature <= 0 or self.weight_decay < 0:
            raise ValueError(
                "classification recipe: lr and temperature must be positive and weight_decay not negative, got "
                f"{self.lr}, {self.temperature} and {self.weight_decay}"
            )
        if not 0 <= self.hard_weight < math.inf:
            raise ValueError(f"classification recipe: hard_weight must be 0 or more, got {self.hard_weight}")
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"classification recipe: crop_scale is a range within (0, 1], got {self.crop_scale}")

    def learning_rate(self, epoch: int) -> float:
        """The rate of ``epoch`` (from 0); a function of the epoch alone, so that resuming needs no scheduler state."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / (SCHEDULES[self.schedule] * self.epochs)))

    def batches(self, order: Tensor) -> tuple[Tensor, ...]:
        """The pictures of an epoch, given as their positions (N,), divided into batches."""
        return order.tensor_split(math.ceil(len(order) / self.batch))
