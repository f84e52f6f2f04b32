"""Tiles as points: what two tiles teach alike lies close together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.images.pyramid_tiles import Tiles, for_each_tile
from srdistill.sets.distilled_set import SelectionError


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
    """Features (N, d) as float32 rows of length 1; a row of zeros stays what it is, and so does a feature without deviation
    lose its mean only."""
    rows = features.double()
    if standardise:
        rows = rows - rows.mean(0)
        deviation = rows.square().mean(0).sqrt()
        rows = rows / torch.where(deviation > 1e-9, deviation, torch.ones_like(deviation))
    return (rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)).float()


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
