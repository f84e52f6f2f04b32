"""Informative patches as a training set: "threshold crop selection", table 3 of "Dataset Distillation for
Super-Resolution without Class Labels and Pre-trained Models", with or without its pseudo-classes."""

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures
from srdistill.papers.labelfree.patch_features import Features
from srdistill.papers.labelfree.patch_pool import PatchPool, candidate_patches
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError

PICKS = ("random", "lowest", "central")


def selected_patches(
    real: Pictures,
    *,
    count: int,
    size: int,
    generator: torch.Generator,
    threshold: float = 23.0,
    quantile: float | None = None,
    stride: int = 32,
    overlap: float = 1.0,
    clusters: int = 7,
    features: str | Features = "hog",
    normalise: bool = True,
    n_init: int = 10,
    pick: str = "random",
    device: torch.device | str = "cpu",
) -> DistilledSet:
    """``count`` informative crops of ``size`` x ``size`` px, unchanged, as evenly from the pseudo-classes as these allow.

    Labels are source pictures, as in every set of real pixels; the images of one pseudo-class lie together, in the order of
    the classes, and ``settings["per_class"]`` says how many each has.

    Args:
        threshold, quantile, stride, overlap, clusters, features, normalise, n_init, device: as in
            ``pseudo_labelled_patches``. With one cluster no features are computed: selection by score alone, which is how
            the paper describes this row in words; it adds that the row is its stage 1, which has clusters.
        pick: which patches of a class. ``random``: any, as the paper samples its crops at random. ``lowest``: the lowest
            scores. ``central``: the nearest to the centre of the class.

    Raises:
        SelectionError: ``count`` is less than 1 or more than there are candidates; unknown ``pick``; what
        ``pseudo_labelled_patches`` raises.
    """
    if pick not in PICKS or (pick == "central" and clusters == 1):
        known = ", ".join(PICKS if clusters != 1 else PICKS[:2])
        raise SelectionError(f"cannot pick {pick!r} of {clusters} cluster(s); there are: {known}")
    chosen = {"size": size, "threshold": threshold, "quantile": quantile, "stride": stride, "overlap": overlap}
    if clusters == 1:
        pool = candidate_patches(real, **chosen)
    else:
        pool = pseudo_labelled_patches(
            real, generator=generator, clusters=clusters, features=features, normalise=normalise, n_init=n_init,
            device=device, **chosen,
        )  # fmt: skip
    if not 1 <= count <= len(pool):
        raise SelectionError(
            f"count must be 1 to {len(pool)}, the candidates there are, got {count}; raise threshold or quantile, allow more "
            "overlap, or use a smaller stride"
        )
    quotas = even_shares(count, pool.class_sizes.tolist())
    indices = torch.cat([_picked(pool, label, quota, pick, generator) for label, quota in enumerate(quotas)])
    return DistilledSet(
        pool.images(indices),
        pool.picture[indices],
        real.names,
        "selected_patches",
        {"count": count, "size": size, "pick": pick, "candidates": len(pool), "per_class": quotas} | pool.settings,
    )


def even_shares(count: int, available: list[int]) -> list[int]:
    """``count`` dealt out one by one in turn, none getting more than is ``available`` there; the sum must allow it."""
    shares = [0] * len(available)
    while sum(shares) < count:
        for index, most in enumerate(available):
            if shares[index] < most and sum(shares) < count:
                shares[index] += 1
    return shares


def _picked(pool: PatchPool, label: int, quota: int, pick: str, generator: torch.Generator) -> Tensor:
    members = pool.members(label)
    if pick == "lowest":
        members = members[pool.score[members].argsort(stable=True)]
    elif pick == "random":
        draws = generator_for(generator.initial_seed(), "selected patches", label)
        members = members[torch.randperm(len(members), generator=draws)]
    return members[:quota]
