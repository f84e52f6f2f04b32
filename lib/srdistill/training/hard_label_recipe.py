"""How a student learns a distilled set with its own labels: all that the result depends on besides set, network, seed."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class HardLabelRecipe:
    """SGD over ``epochs``; the defaults are GLaD's evaluation (GeorgeCazenavette/glad, utils.py, ``evaluate_synset``).

    ``lr``: the highest rate; GLaD has 1e-4 for VGG11 and 1e-3 for the other students. It rises linearly over the first half of
    the epochs, from next to nothing, and falls by a cosine to zero over the second. ``batch``: pictures of a step; the last
    one of an epoch may have fewer. ``ema``: the weights that are tested are an average over those after each epoch, the plain
    one at first, an exponential one with this decay from epoch 1 / (1 - ema) on; 0 for the last weights themselves.
    """

    epochs: int
    batch: int = 256
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    ema: float = 0.995

    def __post_init__(self):
        if self.epochs < 2 or self.batch < 1:
            raise ValueError(
                f"hard label recipe: epochs must be 2 or more, for two halves, and batch 1 or more, got {self.epochs} and "
                f"{self.batch}"
            )
        if not 0 < self.lr < math.inf or self.weight_decay < 0:
            raise ValueError(
                f"hard label recipe: lr must be positive and weight_decay not negative, got {self.lr} and {self.weight_decay}"
            )
        if not 0 <= self.momentum < 1 or not 0 <= self.ema < 1:
            raise ValueError(f"hard label recipe: momentum and ema lie in [0, 1), got {self.momentum} and {self.ema}")

    def learning_rate(self, epoch: int) -> float:
        """The rate of ``epoch`` (from 0); a function of the epoch alone, so that resuming needs no scheduler state.

        As there the first step has a ten-millionth of the rate, and the cosine begins one epoch after the rate is reached.
        """
        half = self.epochs // 2
        if epoch <= half:
            return self.lr * (1e-7 + (1 - 1e-7) * epoch / half)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (epoch - half - 1) / half))

    def decay(self, epoch: int) -> float:
        """What the average of the weights keeps of itself when those after ``epoch`` (from 0) join it."""
        return min(self.ema, epoch / (epoch + 1))
