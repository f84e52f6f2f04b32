"""Candidate C, select and swap: shrunken pictures whose gradients have the mean of those of many."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from srdistill.images.pictures import Pictures
from srdistill.images.shrinking import BICUBIC
from srdistill.papers.beyond.shaping.shaped import shaped
from srdistill.papers.beyond.tiles.gradient_embedding import gradient_embedding
from srdistill.papers.beyond.tiles.herding import herd
from srdistill.papers.beyond.tiles.tile_budget import tile_cap, tile_count
from srdistill.papers.beyond.tiles.tile_embedding import unit_rows
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError

_BATCH = 64


def herded(
    real: Pictures,
    *,
    networks: Sequence[nn.Module],
    budget: float,
    size: int,
    scale: int,
    generator: torch.Generator,
    candidates: int = 4,
    cap: float | None = 2.0,
    width: int = 256,
    kernel: str = BICUBIC,
    factors: Sequence[float] = (),
) -> DistilledSet:
    """Of many pictures shrunk to ``size`` px, as many as the share ``budget`` of the pixels of ``real`` buys: those whose mean
    gradient is nearest to that of all.

    ``networks``: trained for ``scale``; the gradients are those of their last layers, each scaled to length 1, projected to
    ``width`` (``gradient_embedding``). ``candidates``: ``shaped`` makes so many times what is chosen, at least one of each
    picture, with ``kernel``. ``cap``: at most so many times the even share of one picture.

    The settings have ``mean_distance``, between the mean gradients of the chosen and of all, and ``random_distance``, the same
    of as many random ones. Raises what ``shaped`` and the embedding raise; SelectionError for fewer than two candidates each.
    """
    if candidates < 2:
        raise SelectionError(f"candidates must be 2 or more times what is chosen, got {candidates}")
    count, seed = tile_count(budget, real.pixels, size), generator.initial_seed()
    many = shaped(real, size=size, count=max(len(real), candidates * count), kernel=kernel, factors=factors,
                  generator=generator)  # fmt: skip
    embedding = gradient_embedding(networks, scale, generator, width)
    features = torch.cat([embedding.features(part).float() for part in many.images.split(_BATCH)])
    rows = unit_rows(features, embedding.standardise)
    chosen = herd(rows, count, groups=many.labels, cap=tile_cap(cap, count, len(real)))
    chance = torch.randperm(len(rows), generator=generator_for(seed, "random candidates"))[:count]
    settings = {
        "budget": budget, "scale": scale, "candidates": len(many), "cap": cap, "networks": len(networks), "width": width,
        "mean_distance": _apart(rows, chosen), "random_distance": _apart(rows, chance),
    }  # fmt: skip
    kept = {"images": many.images[chosen], "labels": many.labels[chosen]}
    return replace(many, **kept, method="herded", settings=many.settings | settings)


def _apart(rows: Tensor, chosen: Tensor) -> float:
    return round(float((rows[chosen].double().mean(0) - rows.double().mean(0)).norm()), 6)
