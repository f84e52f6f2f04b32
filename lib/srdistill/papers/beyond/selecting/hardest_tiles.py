"""The tiles that bicubic gets back worst: the plainest selection, and the one that fails at small budgets."""

import torch

from srdistill.images.pictures import Pictures
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.papers.beyond.tiles.tile_budget import first_capped, tile_cap, tile_count, tile_set
from srdistill.papers.beyond.tiles.trimming import trimmed
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import scored_tiles


def hardest_tiles(
    real: Pictures | PicturesInTurn,
    *,
    budget: float,
    scale: int,
    generator: torch.Generator,
    tile: int = 96,
    stride: int = 96,
    levels: tuple[float | str, ...] = (1.0,),
    skip: float = 0.0,
    cap: float | None = None,
) -> DistilledSet:
    """Tiles of ``tile`` px of the highest residual energy of all, hardest first, as many as the share ``budget`` of all
    pixels holds.

    With ``skip`` 0 and one level this is SamplingAug (Wang et al., BMVC 2021) in energies instead of PSNR. ``skip``: share of
    each level's hardest tiles that are passed over. ``cap``: as in ``Coverage``. Nothing is random but the order of equals.

    Raises what ``pyramid_coverage`` raises.
    """
    tiles = scored_tiles(real.images, Pyramid(tile, stride, levels), scale)
    count = tile_count(budget, tiles.pixels, tile)
    tiles = tiles.at(trimmed(tiles, 0.0, skip))
    shuffled = torch.randperm(len(tiles), generator=generator_for(generator.initial_seed(), "order of equals"))
    order = shuffled[tiles.score[shuffled].argsort(descending=True, stable=True)]
    chosen = first_capped(order, tiles.picture, count, tile_cap(cap, count, tiles.pictures))
    settings = {"budget": budget, "scale": scale, "skip": skip, "cap": cap}
    return tile_set(real.images, real.names, tiles, chosen, "hardest_tiles", settings)
