"""Random tiles in the scales of another set: what that set's choice adds to its mix of scales."""

import torch

from srdistill.images.pictures import Pictures
from srdistill.papers.beyond.selecting.random_tiles import random_tiles
from srdistill.sets.distilled_set import DistilledSet


def random_like(
    real: Pictures, *, like: DistilledSet, budget: float, scale: int, generator: torch.Generator, tile: int = 96
) -> DistilledSet:
    """``random_tiles`` of ``tile`` px of ``real`` in the proportions of levels that ``like``, of ``pyramid_coverage``, has.

    Raises what those raise.
    """
    mix = like.settings["levels_chosen"]
    return random_tiles(real, budget=budget, scale=scale, generator=generator, mix=mix, tile=tile)
