"""How a diffusion transformer is trained: everything that the result depends on besides model, data, loss terms and seed."""

import math
from dataclasses import dataclass

SCHEDULES = ("constant", "cosine")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class DiffusionRecipe:
    """AdamW (betas 0.9 and 0.999) over ``iterations`` batches.

    ``lr``, ``schedule``, ``warm_up``, ``weight_decay``: the rate is ``constant`` or falls to zero as a ``cosine``, after a
    linear rise over ``warm_up`` steps. ``ema``: decay of the average of the weights, which is what stays; 0: the last
    weights. With 0.9999 a run of a few thousand steps ends close to where it started. ``label_dropout``: share of pictures
    whose label becomes the null label, which guidance needs. ``precision``: ``fp32``, or ``bf16`` for autocast of the
    transformer; losses are always float32.
    """

    iterations: int
    batch: int = 8
    lr: float = 1e-3
    schedule: str = "constant"
    warm_up: int = 0
    weight_decay: float = 0.0
    ema: float = 0.9999
    label_dropout: float = 0.1
    precision: str = "fp32"

    def __post_init__(self):
        for name, choices in {"schedule": SCHEDULES, "precision": PRECISIONS}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; there are: {', '.join(choices)}")
        if min(self.iterations, self.batch) < 1:
            raise ValueError(f"iterations and batch must be 1 or more, got {self.iterations} and {self.batch}")
        for name in ("lr", "warm_up", "weight_decay"):
            if not getattr(self, name) >= 0:  # false for NaN as well
                raise ValueError(f"{name} must not be negative or NaN, got {getattr(self, name)}")
        for name in ("ema", "label_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def learning_rate(self, step: int) -> float:
        """The rate of step ``step`` (from 0); a function of the step alone, so that resuming needs no scheduler state."""
        rise = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.schedule == "cosine":
            return self.lr * (rise * (0.5 * (1 + math.cos(math.pi * step / self.iterations))))
        return self.lr * rise
