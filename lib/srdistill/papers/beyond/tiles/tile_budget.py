"""How many tiles a budget buys, how many of them one picture may give, and the set that they make."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.pyramid_tiles import Tiles, tile_pixels


def tile_count(budget: float, pixels: int, tile: int) -> int:
    """Tiles of ``tile`` px squared in the share ``budget`` of ``pixels``, rounded down.

    Raises SelectionError for a share outside of (0, 1], or one below one tile.
    """
    if not 0 < budget <= 1:
        raise SelectionError(f"budget is a share of all pixels in (0, 1], got {budget:g}; 0.03 is 3 %")
    # The product of a decimal share and a whole number may fall short of a whole number by rounding.
    count = math.floor(budget * pixels / tile**2 + 1e-9)
    if not count:
        raise SelectionError(
            f"a budget of {budget:g} of {pixels:,} pixels is less than one tile of {tile} x {tile} px; "
            f"raise it to {tile**2 / pixels:.2g} or more, or use smaller tiles"
        )
    return count


def tile_cap(cap: float | None, count: int, pictures: int) -> int | None:
    """At most so many of ``count`` tiles from one of ``pictures``: ``cap`` times the even share, rounded up; None: no limit."""
    return None if cap is None else max(1, math.ceil(cap * count / pictures - 1e-9))


def first_capped(order: Tensor, pictures: Tensor, count: int, cap: int | None) -> Tensor:
    """The first ``count`` positions of ``order`` (M,) without those that come after ``cap`` others of the same picture.

    ``pictures``: (N,), the picture of each position. Raises SelectionError if there are not enough.
    """
    if cap is not None:
        by_picture = pictures[order].argsort(stable=True)
        _, sizes = pictures[order][by_picture].unique_consecutive(return_counts=True)
        rank = torch.empty_like(order)
        rank[by_picture] = torch.arange(len(order)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        order = order[rank < cap]
    if len(order) < count:
        limit = "" if cap is None else f", at most {cap} of one picture"
        raise SelectionError(
            f"the budget asks for {count} tiles, but only {len(order)} are left to choose from{limit}; "
            "lower the budget, trim less, raise the cap, or use a smaller stride"
        )
    return order[:count]


def tile_set(
    images: Sequence[Tensor], names: Sequence[str], tiles: Tiles, chosen: Tensor, method: str, settings: dict
) -> DistilledSet:
    """The chosen tiles as a set, in the order of ``chosen``, positions int64 (n,); labels are their pictures.

    Added to ``settings``: the pyramid, ``levels_chosen`` (how many tiles come from which level), ``pictures_chosen`` and
    ``too_small`` (pictures).
    """
    kept = tiles.at(chosen)
    about = {
        "tile": tiles.pyramid.tile,
        "stride": tiles.pyramid.stride,
        "levels": list(tiles.pyramid.levels),
        "levels_chosen": kept.per_level(),
        "pictures_chosen": len(kept.picture.unique()),
        "too_small": tiles.too_small,
    }
    return DistilledSet(tile_pixels(images, kept), kept.picture.long(), tuple(names), method, settings | about)
