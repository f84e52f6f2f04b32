"""Tiles as points: what two tiles teach alike lies close together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.pyramid_tiles import Tiles, for_each_tile

# Rows that are held in double precision at a time: millions of them would need gigabytes.
_PART = 65_536


@dataclass(frozen=True)
class Embedding:
    """``name``: for settings. ``features``: from ``uint8`` tiles (n, 3, t, t) to float (n, d), each row of its tile alone.

    ``standardise``: whether each feature loses its mean over all tiles and is divided by its deviation before rows are scaled
    to length 1. For features that are large and alike, as logarithms of energies are: else all tiles point the same way.
    """

    name: str
    features: Callable[[Tensor], Tensor]
    standardise: bool


def unit_rows(features: Tensor, standardise: bool) -> Tensor:
    """Features (N, d) as float32 rows of length 1, standardised first if asked for (see ``Embedding``).

    A row of zeros stays what it is; a feature without deviation loses its mean only.
    """
    mean, deviation = torch.zeros(features.shape[1]).double(), torch.ones(features.shape[1]).double()
    if standardise:
        mean = sum(part.double().sum(0) for part in features.split(_PART)) / len(features)
        spread = sum((part - mean).square().sum(0) for part in features.split(_PART)) / len(features)
        deviation = torch.where(spread > 1e-18, spread.sqrt(), deviation)
    rows = torch.empty(features.shape)
    for part, into in zip(features.split(_PART), rows.split(_PART), strict=True):
        moved = (part.double() - mean) / deviation
        into.copy_(moved / moved.norm(dim=1, keepdim=True).clamp(min=1e-12))
    return rows


def embedded(images: Sequence[Tensor], tiles: Tiles, embedding: Embedding, batch: int = 64) -> Tensor:
    """The tiles as float32 (N, d) rows of length 1, in their order. ``batch``: tiles that are worked on at a time.

    Raises SelectionError if features are not finite.
    """
    found = for_each_tile(images, tiles, lambda pixels: embedding.features(pixels).float(), "embedding tiles", batch)
    if not bool(found.isfinite().all()):
        bad = int((~found.isfinite()).any(1).nonzero()[0])
        raise SelectionError(
            f"the {embedding.name} embedding of tile {bad} (picture {int(tiles.picture[bad])}) is not finite; "
            "use networks that did not diverge, or the spectrum"
        )
    return unit_rows(found, embedding.standardise)
