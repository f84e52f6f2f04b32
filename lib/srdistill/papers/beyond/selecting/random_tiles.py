"""Random tiles in given proportions of scales: whether a choice of tiles is better than its mix of scales alone."""

from collections.abc import Mapping

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.papers.beyond.tiles.tile_budget import tile_count, tile_set
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.pyramid import WHOLE, Pyramid
from srdistill.sets.pyramid_tiles import Tiles, scored_tiles


def random_tiles(
    real: Pictures | PicturesInTurn,
    *,
    budget: float,
    scale: int,
    generator: torch.Generator,
    mix: Mapping[str, float],
    tile: int = 96,
    stride: int = 48,
) -> DistilledSet:
    """Tiles of ``tile`` px of the pyramid drawn uniformly among those of each level, as many as ``budget`` buys.

    ``mix``: shares of the levels by name, e.g. ``{"1": 2, "0.5": 1, "whole": 1}``, of any sum: ``levels_chosen`` of a
    set's settings fits. The numbers of tiles are rounded to whole ones by largest remainders.

    Raises what ``pyramid_coverage`` raises, and SelectionError for a mix without positive shares or a level with too few tiles.
    """
    used = {name: share for name, share in mix.items() if share != 0}
    if not used or not all(share > 0 for share in used.values()):
        raise SelectionError(f"a mix needs levels with shares above 0, got {dict(mix)}")
    levels = tuple(name if name == WHOLE else _factor(name) for name in used)
    tiles = scored_tiles(real.images, Pyramid(tile, stride, levels), scale)
    counts = apportioned(list(used.values()), tile_count(budget, tiles.pixels, tile))
    chosen = torch.cat([_drawn(tiles, level, count, generator) for level, count in enumerate(counts)])
    settings = {"budget": budget, "scale": scale, "mix": dict(mix)}
    return tile_set(real.images, real.names, tiles, chosen, "random_tiles", settings)


def apportioned(shares: list[float], count: int) -> list[int]:
    """``count`` in whole numbers proportional to ``shares``: rounded down, then one more for the largest remainders, of equal
    ones for the first."""
    exact = [share * count / sum(shares) for share in shares]
    # Rounding must not take one off a whole number.
    counts = [int(value + 1e-9) for value in exact]
    rest = sorted(range(len(shares)), key=lambda i: counts[i] - exact[i])[: count - sum(counts)]
    return [number + (i in rest) for i, number in enumerate(counts)]


def _drawn(tiles: Tiles, level: int, count: int, generator: torch.Generator) -> Tensor:
    members = (tiles.level == level).nonzero().flatten()
    if len(members) < count:
        raise SelectionError(
            f"the mix asks for {count} tiles at the level {tiles.pyramid.names[level]}, but there are {len(members)}; "
            "lower its share or the budget, or use a smaller stride"
        )
    draws = generator_for(generator.initial_seed(), "tiles of a level", level)
    return members[torch.randperm(len(members), generator=draws)[:count]]


def _factor(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        raise SelectionError(f"a level of a mix is a factor like '0.5' or {WHOLE!r}, got {name!r}") from None
