"""Pseudo-classes: informative patches, grouped by k-means on their features.

"Dataset Distillation for Super-Resolution without Class Labels and Pre-trained Models", section II-A: the classes stand
in for labels when a diffusion model is fitted to the patches.
"""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures
from srdistill.needs import needing
from srdistill.papers.labelfree.patch_features import feature_needs, patch_features
from srdistill.papers.labelfree.patch_pool import PatchPool, candidate_patches
from srdistill.papers.labelfree.selection import Selection, check_clusters
from srdistill.seeds import derive_seed
from srdistill.sets.distilled_set import SelectionError


@dataclass(frozen=True)
class Clustering:
    """``labels``: int64 (N,) in 0..k-1. ``centres``: float64 (k, d). ``distances``: float64 (N,), Euclidean, to the own
    centre. ``inertia``: the sum of their squares."""

    labels: Tensor
    centres: Tensor
    distances: Tensor
    inertia: float


def cluster(features: Tensor, clusters: int, generator: torch.Generator, n_init: int = 10) -> Clustering:
    """scikit-learn's k-means of features (N, d): Lloyd from ``n_init`` k-means++ starts, the best of them.

    Raises:
        SelectionError: fewer points, or fewer different ones, than clusters.
    """
    _check(len(features), clusters, n_init)
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    seed = derive_seed(generator.initial_seed(), "k-means") % 2**32
    # With several threads, sums come in whatever order the threads finish, and two runs differ in the last bits.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Raised for equal points, which are an error here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(clusters, init="k-means++", n_init=n_init, algorithm="lloyd", random_state=seed)
        labels = torch.from_numpy(model.fit_predict(features.double().numpy())).long()
    found = len(labels.unique())
    if found < clusters:
        raise SelectionError(
            f"{len(features)} patches form {found} clusters instead of {clusters}: too many look the same to the features; "
            "use other features, more pictures, or fewer clusters"
        )
    centres = torch.from_numpy(model.cluster_centers_)
    distances = (features.double() - centres[labels]).norm(dim=1)
    return Clustering(labels, centres, distances, float(distances.square().sum()))


@needing(feature_needs)
def pseudo_labelled_patches(
    real: Pictures,
    *,
    size: int,
    generator: torch.Generator,
    selection: Selection = Selection(),
    device: torch.device | str = "cpu",
) -> PatchPool:
    """The informative windows of ``size`` px of all pictures, each with its pseudo-class: what a diffusion model is
    fine-tuned on. ``device``: where a network makes the features.

    Raises:
        SelectionError: nothing is below the threshold, or too little for so many clusters. WeightsMissing: the features'
        network is not at hand. PictureError: a picture is smaller than ``size``. ScaleError: 4 does not divide ``size``.
    """
    pool = candidate_patches(real, size=size, selection=selection)
    features, clusters, n_init = selection.features, selection.clusters, selection.n_init
    # Features take long; what cannot be clustered is better known before.
    _check(len(pool), clusters, n_init)
    rows = patch_features(pool, features, normalise=selection.normalise, device=device)
    found = cluster(rows, clusters, generator, n_init)
    name = features if isinstance(features, str) else getattr(features, "name", getattr(features, "__qualname__", "own"))
    settings = {
        "clusters": clusters, "features": name, "normalise": selection.normalise, "n_init": n_init,
        "inertia": round(found.inertia, 6),
    }  # fmt: skip
    return replace(pool, label=found.labels, distance=found.distances, classes=clusters, settings=pool.settings | settings)


def _check(patches: int, clusters: int, n_init: int) -> None:
    check_clusters(clusters, n_init)
    if patches < clusters:
        raise SelectionError(
            f"{patches} patches cannot form {clusters} clusters; raise threshold or quantile, allow more overlap, use a "
            "smaller stride, or ask for fewer clusters"
        )
