"""How pictures are inverted: everything that their codes depend on besides pictures and generator."""

import math
from dataclasses import dataclass

LOSSES = ("published", "highpass")


@dataclass(frozen=True)
class InversionRecipe:
    """``iterations`` Adam steps on the code of each picture, then ``tuning_iterations`` on the generator's weights.

    ``loss``: ``published`` or ``highpass``, see ``inversion_loss``; a perceptual distance is added with its
    ``perceptual_weight``. ``lr``: peak rate, in units of the code. ``tuning_lr``: that of the weights. ``batch``: pictures at a
    time; while codes are fitted memory grows with it and results do not change, while the generator is tuned a step sees as
    many, in turn.

    Tuning is less than pivotal tuning. Roich et al. make a generator for each picture and tune it for 350 steps; here one
    serves all, for a generator per image makes no small set, and each picture is in ``tuning_iterations * batch / pictures``
    of its steps: 350 steps of 16 show each of 800 pictures seven times.
    """

    loss: str = "highpass"
    iterations: int = 200
    lr: float = 0.02
    tuning_iterations: int = 0
    tuning_lr: float = 3e-4
    perceptual_weight: float = 1.0
    batch: int = 16

    def __post_init__(self):
        if self.iterations < 1 or self.batch < 1 or self.tuning_iterations < 0:
            raise ValueError(
                f"iterations and batch must be 1 or more and tuning_iterations 0 or more, got {self.iterations}, {self.batch} "
                f"and {self.tuning_iterations}"
            )
        if not (0 <= self.lr < math.inf and 0 <= self.tuning_lr < math.inf):
            raise ValueError(f"lr and tuning_lr must be finite and not negative, got {self.lr} and {self.tuning_lr}")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}; there are: {', '.join(LOSSES)}")

    def learning_rate(self, k: int) -> float:
        """Of iteration ``k`` of the codes, as in StyleGAN's projector: rises over the first 5 %, falls along a cosine over
        the last 25 %, and is never 0."""
        t = (k + 1) / (self.iterations + 1)
        return self.lr * (min(1.0, t / 0.05) * 0.5 * (1 - math.cos(math.pi * min(1.0, (1 - t) / 0.25))))
