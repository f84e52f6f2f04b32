"""Pyramid coverage: tiles of all scales that stand for the others, a bicubic residual away from the flat and the odd.

1. Candidates: tiles of a pyramid over each picture, from full size to the whole picture in one tile (``sets.pyramid``).
2. Score: the energy of what bicubic does not bring back; the flat and the outlying go, level by level (``trimming``).
3. Embedding: the spectrum of a tile, or the gradients that it gives (``spectrum_embedding``, ``gradient_embedding``).
4. Choice: greedy facility location with a cap per picture (``facility_location``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srdistill.images.pictures import PictureError, Pictures
from srdistill.images.pictures_in_turn import PicturesInTurn
from srdistill.papers.beyond.tiles.facility_location import covered_share, facility_location
from srdistill.papers.beyond.tiles.gradient_embedding import gradient_embedding
from srdistill.papers.beyond.tiles.spectrum_embedding import spectrum_embedding
from srdistill.papers.beyond.tiles.tile_budget import first_capped, tile_cap, tile_count, tile_set
from srdistill.papers.beyond.tiles.tile_embedding import embedded
from srdistill.papers.beyond.tiles.trimming import thinned, trimmed
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.pyramid import WHOLE, Pyramid
from srdistill.sets.pyramid_tiles import Tiles, for_each_tile, scored_tiles

CHOICES = ("coverage", "highest", "random")


@dataclass(frozen=True)
class Coverage:
    """Settings of ``pyramid_coverage``.

    ``levels``, ``stride``: of the pyramid; ``(1.0,)`` is the method without scale.
    ``low``, ``high``: shares of each level's tiles that are dropped, the flattest and the hardest; 0 and 0: without trim.
    ``choose``: ``coverage``, or, without it, the ``highest`` scores first or a ``random`` choice, among what trimming left.
    ``cap``: at most so many times the even share of tiles from one picture, rounded up; None: no limit.
    ``per_picture``: that many random candidates of a picture at most go on to the embedding, which bounds memory; None: all.
    ``balance``: every level weighs the same in what is to be covered; else every tile does, and most are of full size.
    ``ground``: see ``facility_location``.

    Raises SelectionError for impossible values, PictureError for those of the pyramid.
    """

    levels: tuple[float | str, ...] = (1.0, 0.7, 0.5, 0.35, 0.25, WHOLE)
    stride: int = 48
    low: float = 0.4
    high: float = 0.03
    choose: str = "coverage"
    cap: float | None = 4.0
    per_picture: int | None = 256
    balance: bool = False
    ground: int = 20_000

    def __post_init__(self):
        Pyramid(stride=self.stride, levels=self.levels)
        if not (0 <= self.low and 0 <= self.high and self.low + self.high < 1):
            raise SelectionError(f"low and high must be shares that leave something, got {self.low} and {self.high}")
        if self.choose not in CHOICES:
            raise SelectionError(f"unknown choice {self.choose!r}; there are: {', '.join(CHOICES)}")
        if self.cap is not None and not self.cap > 0:
            raise SelectionError(f"cap must be above 0 or None, got {self.cap}; 4 allows four times the even share")
        if self.ground < 1 or (self.per_picture is not None and self.per_picture < 1):
            raise SelectionError(f"ground and per_picture must be 1 or more, got {self.ground} and {self.per_picture}")


def pyramid_coverage(
    real: Pictures | PicturesInTurn,
    *,
    scale: int,
    generator: torch.Generator,
    budget: float,
    cost: Callable[[Tensor], Tensor] | None = None,
    tile: int = 96,
    settings: Coverage = Coverage(),
    networks: Sequence[nn.Module] = (),
    workers: int = 1,
    unreadable: Callable[[int, PictureError], None] | None = None,
) -> DistilledSet:
    """Tiles of ``tile`` px that stand for all pictures, for super-resolution by ``scale``; the most useful first.

    Args:
        budget: share of the pixels of all pictures, in (0, 1].
        cost: from ``uint8`` tiles (n, 3, tile, tile) to what each costs (n,), e.g. bytes. Gains are then those per cost, and
            the tiles may cost together what as many candidates as the budget holds do on average. For ``coverage`` only.
        networks: trained for ``scale``; the embedding is then ``gradient_embedding`` of them, else ``spectrum_embedding``.
        workers, unreadable: as in ``scored_tiles``. The set does not depend on the workers.

    Pictures too small for a tile give none, but count in the budget. ``settings["covered"]`` is ``covered_share`` of the
    candidates (of at most ``ground`` of them).

    Raises:
        SelectionError: the budget is less than one tile or more than there is. PictureError: no picture holds a tile.
        ScaleError: ``scale`` does not divide the tile.
    """
    if cost is not None and settings.choose != "coverage":
        raise SelectionError(f"a choice by cost needs coverage, got {settings.choose!r}; leave the cost out")
    if not 0 < budget <= 1:
        tile_count(budget, 1, tile)  # says what is wrong, before any work
    everything = scored_tiles(
        real.images, Pyramid(tile, settings.stride, settings.levels), scale, workers=workers, unreadable=unreadable
    )
    count = tile_count(budget, everything.pixels, tile)
    tiles = everything.at(trimmed(everything, settings.low, settings.high))
    if settings.choose == "coverage":
        tiles = tiles.at(thinned(tiles, settings.per_picture, generator))
    about = {
        "scale": scale, "budget": budget, "low": settings.low, "high": settings.high,
        "choose": settings.choose, "cap": settings.cap, "per_picture": settings.per_picture, "ground": settings.ground,
        "balance": settings.balance,
        "all_tiles": len(everything), "candidates": len(tiles),
    }  # fmt: skip
    cap = tile_cap(settings.cap, count, tiles.pictures)
    # Says in tiles what is missing, and how to mend it.
    chosen = first_capped(_order(tiles, settings.choose, generator), tiles.picture, count, cap)
    if settings.choose == "coverage":
        embedding = gradient_embedding(networks, scale, generator) if networks else spectrum_embedding(scale)
        rows, costs, most = embedded(real.images, tiles, embedding), None, count
        if cost is not None:
            costs = for_each_tile(real.images, tiles, cost, "costs of tiles").double()
            most = float(count * costs.mean())
        chosen = facility_location(
            rows, budget=most, generator=generator, costs=costs, groups=tiles.picture, cap=cap,
            weights=_level_weights(tiles) if settings.balance else None, ground=settings.ground,
        )  # fmt: skip
        some = _sample(len(rows), settings.ground, generator)
        about |= {"embedding": embedding.name, "covered": round(covered_share(rows[some], rows[chosen]), 6)}
        about |= {} if costs is None else {"cost": cost.__name__, "spent": float(costs[chosen].sum()), "cost_limit": most}
    return tile_set(real.images, real.names, tiles, chosen, "pyramid_coverage", about)


def _order(tiles: Tiles, choose: str, generator: torch.Generator) -> Tensor:
    if choose == "highest":
        return tiles.score.argsort(descending=True, stable=True)
    return torch.randperm(len(tiles), generator=generator_for(generator.initial_seed(), "random tiles"))


def _level_weights(tiles: Tiles) -> Tensor:
    """Whole numbers that make the levels weigh nearly the same, 100 at most."""
    counts = tiles.level.long().bincount(minlength=len(tiles.pyramid.levels))
    return (counts.max() / counts.clamp(min=1)).round().long().clamp(max=100)[tiles.level.long()]


def _sample(count: int, most: int, generator: torch.Generator) -> Tensor:
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=generator_for(generator.initial_seed(), "covered share"))[:most]
