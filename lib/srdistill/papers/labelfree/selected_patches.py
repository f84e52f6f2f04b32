"""Informative patches as a training set: "threshold crop selection", table 3 of "Dataset Distillation for
Super-Resolution without Class Labels and Pre-trained Models", with or without its pseudo-classes."""

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures
from srdistill.needs import needing
from srdistill.papers.labelfree.patch_features import feature_needs
from srdistill.papers.labelfree.patch_pool import PatchPool, candidate_patches
from srdistill.papers.labelfree.pseudo_labels import pseudo_labelled_patches
from srdistill.papers.labelfree.selection import Selection
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError


@needing(feature_needs)
def selected_patches(
    real: Pictures,
    *,
    count: int,
    size: int,
    generator: torch.Generator,
    selection: Selection = Selection(),
    device: torch.device | str = "cpu",
) -> DistilledSet:
    """``count`` informative crops of ``size`` x ``size`` px, unchanged, as evenly from the pseudo-classes as these allow.

    Within a class the crops are drawn at random, as the paper samples its own. With one cluster no features are computed:
    selection by score alone, which is how the paper describes this row in words; it adds that the row is its stage 1, which
    has clusters. ``device``: where a network makes the features.

    Labels are source pictures, as in every set of real pixels; the images of one pseudo-class lie together, in the order of
    the classes, and ``settings["per_class"]`` says how many each has.

    Raises:
        SelectionError: ``count`` is less than 1 or more than there are candidates; what ``pseudo_labelled_patches`` raises.
    """
    if selection.clusters == 1:
        pool = candidate_patches(real, size=size, selection=selection)
    else:
        pool = pseudo_labelled_patches(real, size=size, generator=generator, selection=selection, device=device)
    if not 1 <= count <= len(pool):
        raise SelectionError(
            f"count must be 1 to {len(pool)}, the candidates there are, got {count}; raise threshold or quantile, allow more "
            "overlap, or use a smaller stride"
        )
    quotas = even_shares(count, pool.class_sizes.tolist())
    indices = torch.cat([_drawn(pool, label, quota, generator) for label, quota in enumerate(quotas)])
    return DistilledSet(
        pool.images(indices),
        pool.picture[indices],
        real.names,
        "selected_patches",
        {"count": count, "size": size, "candidates": len(pool), "per_class": quotas} | pool.settings,
    )


def even_shares(count: int, available: list[int]) -> list[int]:
    """``count`` dealt out one by one in turn, none getting more than is ``available`` there; the sum must allow it."""
    shares = [0] * len(available)
    while sum(shares) < count:
        for index, most in enumerate(available):
            if shares[index] < most and sum(shares) < count:
                shares[index] += 1
    return shares


def _drawn(pool: PatchPool, label: int, quota: int, generator: torch.Generator) -> Tensor:
    members = pool.members(label)
    draws = generator_for(generator.initial_seed(), "selected patches", label)
    return members[torch.randperm(len(members), generator=draws)[:quota]]
