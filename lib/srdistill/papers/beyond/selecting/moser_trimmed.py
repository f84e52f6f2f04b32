"""Pruning by loss: the hardest half without its top ("A Study in Dataset Pruning for Image Super-Resolution", Moser, Raue and
Dengel 2024, arXiv 2403.17083).

A small trained network (the paper's is SRCNN) is asked for its loss on every sub-image. The paper trains on the half with the
highest losses, and does better when the highest 5 % go and the half begins below them.
"""

from functools import partial

import torch
from torch import Tensor, nn

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import Pictures, to_float
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.papers.beyond.tiles.tile_budget import first_capped, tile_count, tile_set
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.pyramid import Pyramid
from srdistill.sets.pyramid_tiles import for_each_tile, scored_tiles


def tile_losses(tiles: Tensor, network: nn.Module, scale: int) -> Tensor:
    """Mean squared error of ``network`` on each tile, ``uint8`` (N, 3, t, t), from its own LR picture: float64 (N,).

    Values are in [0, 1]; outputs are neither clamped nor rounded, as in a loss.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        made = network(to_float(low_resolution(tiles, scale).to(device)))
    return (made.cpu().double() - to_float(tiles).double()).square().mean((1, 2, 3))


def moser_trimmed(
    real: Pictures | PicturesInTurn,
    *,
    network: nn.Module,
    budget: float,
    scale: int,
    generator: torch.Generator,
    tile: int = 96,
    stride: int = 96,
    keep: float = 0.5,
    drop: float = 0.05,
) -> DistilledSet:
    """Random tiles of ``tile`` px, of full size, from the band of losses that the paper trains on, as many as ``budget`` buys.

    ``network``: trained for ``scale``. Of all tiles in the order of their loss, the highest share ``drop`` goes and the next
    share ``keep`` is the band, both rounded down. The paper's band is its set; a smaller budget takes a part of it at random
    (ours: its lower end would be no harder than random tiles, its upper end is the hardest-first rule that the paper warns of).

    Raises what ``pyramid_coverage`` raises, and SelectionError for a band that is not within all tiles or smaller than the
    budget.
    """
    if not (0 <= drop and 0 < keep and drop + keep <= 1):
        raise SelectionError(f"drop and keep must be shares of all tiles, together 1 at most, got {drop} and {keep}")
    tiles = scored_tiles(real.images, Pyramid(tile, stride, (1.0,)), scale)
    count = tile_count(budget, tiles.pixels, tile)
    losses = for_each_tile(real.images, tiles, partial(tile_losses, network=network, scale=scale), "losses of tiles", 32)
    hardest = losses.argsort(descending=True, stable=True)
    first = int(drop * len(tiles))
    band = hardest[first : first + int(keep * len(tiles))]
    draws = generator_for(generator.initial_seed(), "tiles of the band")
    chosen = first_capped(band[torch.randperm(len(band), generator=draws)], tiles.picture, count, None)
    settings = {"budget": budget, "scale": scale, "keep": keep, "drop": drop, "network": type(network).__name__}
    return tile_set(real.images, real.names, tiles, chosen, "moser_trimmed", settings)
