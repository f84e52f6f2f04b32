"""What the informative patches of a collection are, and how they are grouped into pseudo-classes."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from srdistill.sets.distilled_set import SelectionError

# How a window is scored: as low-resolution pictures are made everywhere here, or as the authors' code does.
MEASURES = ("antialiased", "published")
# From uint8 windows (n, 3, size, size) to float (n, d).
Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Selection:
    """Settings of ``candidate_patches`` (the first six), ``pseudo_labelled_patches`` and ``selected_patches``.

    ``threshold``: keep windows that score below so many dB; the paper's 23 dB (section III-A) is the median of its own patches.
    ``quantile``: keep the lowest such share of all windows instead (ties with the last one are kept); ``threshold`` is not used
    then. 0.5 is the paper's choice in terms of any other pictures.
    ``stride``: a window every so many px. ``border``: one more flush with the far border, where the stride leaves a rest; the
    authors' code has none.
    ``measure``: ``antialiased`` scores by ``measures.patch_scores``, in colour; ``published`` by ``published_scores``, in grey
    and without antialiasing.
    ``overlap``: at most this share of a window's area may be shared by two chosen windows of one picture. From the lowest score
    up, windows that overlap a chosen one by more are dropped (greedy non-maximum suppression, as SamplingAug has it). 1 is off:
    the paper mentions nothing of the kind.

    ``clusters``: how many pseudo-classes; the paper has seven, as many as its data set has labels. With 1, ``selected_patches``
    computes no features.
    ``features``, ``normalise``: as in ``patch_features``; ``clip`` is the paper's. A function must be one of a module, so that
    it can be named.
    ``n_init``: starts of k-means, the best of which counts.

    Raises SelectionError for impossible values.
    """

    threshold: float = 23.0
    quantile: float | None = None
    stride: int = 32
    border: bool = True
    measure: str = "antialiased"
    overlap: float = 1.0
    clusters: int = 7
    features: str | Features = "hog"
    normalise: bool = True
    n_init: int = 10

    def __post_init__(self):
        if self.quantile is not None and not 0 < self.quantile <= 1:
            raise SelectionError(f"quantile must lie in (0, 1], got {self.quantile}; 0.5 keeps the lower half of all windows")
        if not 0 <= self.overlap <= 1:
            raise SelectionError(f"overlap must lie in [0, 1], got {self.overlap}; 0 keeps windows apart, 1 lets them overlap")
        if self.measure not in MEASURES:
            raise SelectionError(f"unknown measure {self.measure!r} of windows; there are: {', '.join(MEASURES)}")
        check_clusters(self.clusters, self.n_init)


def check_clusters(clusters: int, n_init: int) -> None:
    """Raise SelectionError unless both are 1 or more."""
    if clusters < 1 or n_init < 1:
        raise SelectionError(f"clusters and n_init must be 1 or more, got {clusters} and {n_init}")
