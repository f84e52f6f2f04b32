"""How a network is trained: everything that the result depends on besides data, network, scale and seed."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """A fixed budget of Adam steps, equal for every training set, so that small sets are not over-trained by epochs.

    ``patch`` is the side of the HR crops in pixels. ``schedule``: ``constant``, ``cosine`` (to zero) or ``steps``
    (times ``decay`` at each milestone). ``ema``: decay of the averaged weights that are evaluated, 0 for none.
    ``clip_norm``: bound of the gradient norm, 0 for none. ``precision``: ``fp32`` or ``bf16`` (autocast).
    """

    iterations: int
    batch: int = 16
    patch: int = 48
    loss: str = "l1"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    decay: float = 0.5
    ema: float = 0.0
    clip_norm: float = 0.0
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self):
        for name, choices in {
            "loss": ("l1", "mse"),
            "schedule": ("constant", "cosine", "steps"),
            "precision": ("fp32", "bf16"),
        }.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"recipe: {name} is {getattr(self, name)!r}; it can be {', '.join(choices)}")
        if min(self.iterations, self.batch, self.patch) < 1:
            raise ValueError(
                f"recipe: iterations, batch and patch must be 1 or more, got {self.iterations}, {self.batch}, {self.patch}"
            )

    def learning_rate(self, step: int) -> float:
        """The rate of step ``step`` (from 0); a function of the step alone, so that resuming needs no scheduler state."""
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * step / self.iterations))
        if self.schedule == "steps":
            return decayed(self.lr, self.decay, self.milestones, step)
        return self.lr


def decayed(lr: float, decay: float, milestones: tuple[int, ...], step: int) -> float:
    """``lr`` times ``decay`` for each of the ``milestones`` that ``step`` has reached."""
    return lr * decay ** sum(step >= milestone for milestone in milestones)
