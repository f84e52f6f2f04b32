"""Noise images: the start of Dietz et al., table 1, and its undistilled control."""

import torch

from srdistill.images.pictures import Pictures, to_uint8
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc


def noise(
    real: Pictures, *, ipc: int, size: int, generator: torch.Generator, kind: str = "normal"
) -> DistilledSet:
    """``ipc`` noise images of ``size`` px per picture: ``normal`` is N(0, 1) clipped to [0, 1], ``uniform`` is U(0, 1).

    ``uint8`` (N, 3, size, size), N = ``ipc`` * pictures, those of a picture one after another. Of ``real`` only the number of
    pictures and their names count.

    The papers start from N(0, 1); what lies outside [0, 1] is no picture, so it is clipped here.

    Raises ValueError: an unknown kind, or ``ipc`` below 1.
    """
    if kind not in ("normal", "uniform"):
        raise ValueError(f"unknown kind of noise {kind!r}; there are: normal, uniform")
    check_ipc(ipc)
    shape = (len(real) * ipc, 3, size, size)
    draw = torch.randn if kind == "normal" else torch.rand
    images = to_uint8(draw(shape, generator=generator_for(generator.initial_seed(), "noise")))
    return DistilledSet(
        images, torch.arange(len(real)).repeat_interleave(ipc), real.names, "noise",
        {"ipc": ipc, "size": size, "kind": kind},
    )  # fmt: skip
