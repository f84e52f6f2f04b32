"""Where matching starts: undistilled sets by name, or a set that was made before."""

from collections.abc import Callable

import torch

from srdistill.images.pictures import Pictures
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.downscaled import downscaled
from srdistill.sets.noise import noise
from srdistill.sets.random_crops import random_crops

STARTS: dict[str, Callable[..., DistilledSet]] = {"noise": noise, "downscaled": downscaled, "real": random_crops}


def start_set(
    real: Pictures, start: str | DistilledSet, *, ipc: int, size: int, generator: torch.Generator
) -> DistilledSet:
    """The set named by ``start`` (a key of ``STARTS``), ``ipc`` images of ``size`` px per picture, or the given one if it fits.

    Raises:
        ValueError: unknown name. SetError: the given set has the wrong number, size or order of images.
    """
    if not isinstance(start, DistilledSet):
        if start not in STARTS:
            raise ValueError(f"unknown start {start!r}; there are: {', '.join(STARTS)}, or a DistilledSet")
        start = STARTS[start](real, ipc=ipc, size=size, generator=generator)
    classes = len(real)
    if ipc < 1 or start.images.shape != (classes * ipc, 3, size, size):
        raise SetError(
            f"the start has images of shape {tuple(start.images.shape)}; {classes} pictures with ipc {ipc} and size "
            f"{size} need {(classes * ipc, 3, size, size)}"
        )
    if not torch.equal(start.labels, torch.arange(classes).repeat_interleave(ipc)):
        raise SetError(f"the labels of the start must count up, {ipc} of each picture in the order of the pictures")
    return start
