"""How the two matchings are run: everything that a set depends on besides pictures, budget, start, network and seed."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.training.gradient_distances import check_distance

OPTIMIZERS = ("adam", "sgd")


def optimizer_of(matching: "Matching | LatentMatching", moved: Tensor) -> torch.optim.Optimizer:
    """What moves images or codes, ``moved``, of any shape: Adam (betas ``momentum`` and 0.999), or SGD with momentum."""
    if matching.optimizer == "adam":
        return torch.optim.Adam([moved], lr=matching.lr, betas=(matching.momentum, 0.999))
    return torch.optim.SGD([moved], lr=matching.lr, momentum=matching.momentum)


def check_optimizer(name: str) -> None:
    """Raise ValueError unless ``name`` is one of ``OPTIMIZERS``."""
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; there are: {', '.join(OPTIMIZERS)}")


@dataclass(frozen=True)
class Rate:
    """An optimiser of images or codes and its learning rate."""

    optimizer: str
    lr: float

    def __post_init__(self):
        check_optimizer(self.optimizer)

    def __str__(self) -> str:
        return f"{self.optimizer} {self.lr:g}"


@dataclass(frozen=True)
class Matching:
    """Settings of ``gradient_matching``, in pixel space.

    ``scale``: of the SR task. ``optimizer``, ``lr``: on the images, in [0, 1] units. ``sgd`` with ``momentum`` is what DC and
    GLaD have; the gradient of a pixel falls with the number of pixels of a class, so larger or more images need a larger rate.
    ``adam`` (betas ``momentum`` and 0.999) moves every value by about ``lr`` per iteration, whatever the number of pixels:
    0.004 is one 8-bit level.

    ``distance``: a key of ``gradient_distances.DISTANCES``. ``crop``, ``step``: the real sub-images, in px; for a network drawn
    anew each gives one random crop per iteration, at most ``batch_real`` per picture. ``flips``: one flip or quarter turn per
    iteration, for real and synthetic images alike.

    ``steps_along``: 1 matches at the initialisation only, as DC does for IPC = 1. T also matches after each of T - 1 SGD
    steps of the network (``network_lr``) on ``network_batch`` synthetic images. ``snapshots``: how many stages of the first
    images to keep, the start and the end included.
    """

    scale: int = 2
    iterations: int = 1000
    optimizer: str = "sgd"
    lr: float = 1.0
    momentum: float = 0.5
    distance: str = "rows"
    crop: int = 480
    step: int = 240
    batch_real: int = 256
    flips: bool = True
    steps_along: int = 1
    network_lr: float = 0.01
    network_batch: int = 16
    snapshots: int = 6

    def __post_init__(self):
        if self.iterations < 1 or self.steps_along < 1:
            raise ValueError(f"iterations and steps_along must be 1 or more, got {self.iterations} and {self.steps_along}")
        check_optimizer(self.optimizer)
        check_distance(self.distance)


@dataclass(frozen=True)
class LatentMatching:
    """Settings of ``latent_matching``; what has a name of ``Matching`` means the same.

    ``optimizer``: ``adam`` (betas ``momentum`` and 0.999), or ``sgd`` as in GLaD (lr 1, momentum 0.5). ``lr``: in units of the
    codes; Adam moves each value by about ``lr`` per iteration, whatever the number of pixels. ``code_chunk``: how many codes
    the generator decodes at a time with a graph; memory grows with it, results do not change.
    """

    scale: int = 2
    iterations: int = 1000
    lr: float = 0.01
    optimizer: str = "adam"
    momentum: float = 0.5
    distance: str = "rows"
    crop: int = 480
    step: int = 240
    batch_real: int = 256
    flips: bool = True
    code_chunk: int = 10
    snapshots: int = 6

    def __post_init__(self):
        if self.iterations < 1 or self.code_chunk < 1:
            raise ValueError(f"iterations and code_chunk must be 1 or more, got {self.iterations} and {self.code_chunk}")
        if not (0 <= self.lr < math.inf and 0 <= self.momentum < 1):
            raise ValueError(f"lr must be finite and not negative and momentum in [0, 1), got {self.lr} and {self.momentum}")
        check_optimizer(self.optimizer)
        check_distance(self.distance)
