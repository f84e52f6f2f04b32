"""Tiles without the flat and without the odd: both ends of the scores are cut off, level by level.

Flat tiles teach nothing. Those of the highest scores are noise, halftone and text more often than texture, and at small
budgets hardest-first falls below random choice (Zheng et al., "Coverage-centric coreset selection for high pruning rates",
ICLR 2023). Levels are cut by themselves, because a picture has the more energy per pixel the more it is shrunk.
"""

import torch
from torch import Tensor

from srdistill.seeds import generator_for
from srdistill.sets.pyramid_tiles import Tiles


def trimmed(tiles: Tiles, low: float, high: float) -> Tensor:
    """Positions, ascending, of the tiles that stay when the lowest share ``low`` and the highest share ``high`` of each level's
    scores go, both rounded down to whole tiles; of equal scores, the first in the list are the lower ones. Int64 (n,)."""
    kept = []
    for level in tiles.level.unique().tolist():
        members = (tiles.level == level).nonzero().flatten()
        order = members[tiles.score[members].argsort(stable=True)]
        kept.append(order[int(low * len(order)) : len(order) - int(high * len(order))])
    return torch.cat(kept).sort().values


def thinned(tiles: Tiles, most: int | None, generator: torch.Generator) -> Tensor:
    """Positions, ascending, of at most ``most`` random tiles of each picture; None: all. Int64 (n,)."""
    if most is None:
        return torch.arange(len(tiles))
    kept = []
    for part in _by_picture(tiles.picture):
        if len(part) > most:
            draws = generator_for(generator.initial_seed(), "tiles of a picture", int(tiles.picture[part[0]]))
            part = part[torch.randperm(len(part), generator=draws)[:most]]
        kept.append(part)
    return torch.cat(kept).sort().values


def _by_picture(pictures: Tensor) -> tuple[Tensor, ...]:
    order = pictures.argsort(stable=True)
    return order.split(pictures[order].unique_consecutive(return_counts=True)[1].tolist())
