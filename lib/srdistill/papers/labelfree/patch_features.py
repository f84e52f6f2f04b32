"""Features of patches by name, or by a function of one's own."""

from collections.abc import Callable

import torch
from torch import Tensor

from srdistill.needs import Need
from srdistill.papers.labelfree.hand_made_features import hog_and_colour
from srdistill.papers.labelfree.learned_features import (
    CLIP_CONFIG,
    CLIP_WEIGHTS,
    MOBILENET,
    load_clip,
    load_mobilenet,
    load_torchvision_mobilenet,
    torchvision_mobilenet_need,
)
from srdistill.papers.labelfree.patch_pool import PatchPool
from srdistill.papers.labelfree.selection import Features, Selection
from srdistill.progress import bar
from srdistill.sets.distilled_set import SelectionError

# What the names stand for: each makes a function from uint8 windows (N, 3, H, W) to float (N, d), on a device.
FEATURES: dict[str, Callable[[torch.device | str], Features]] = {
    "hog": lambda device: hog_and_colour,
    "mobilenet": lambda device: load_mobilenet(device=device),
    "mobilenet_torchvision": lambda device: load_torchvision_mobilenet(download=True, device=device),
    "clip": lambda device: load_clip(download=True, device=device),
}
# The weights behind the names.
_WEIGHTS = {
    "hog": lambda: [],
    "mobilenet": lambda: [MOBILENET.need(download=False)],
    "mobilenet_torchvision": lambda: [torchvision_mobilenet_need()],
    "clip": lambda: [CLIP_CONFIG.need(download=True), CLIP_WEIGHTS.need(download=True)],
}
# Patches whose pixels are held at a time.
_CHUNK = 256


def feature_needs(selection: Selection = Selection(), **_) -> list[Need]:
    """The weights that the named features of a selection need."""
    return _WEIGHTS[selection.features]() if selection.clusters > 1 and not callable(selection.features) else []


def patch_features(
    pool: PatchPool, features: str | Features = "hog", *, normalise: bool = True, device: torch.device | str = "cpu"
) -> Tensor:
    """Features (N, d), float64, of every patch of the pool, in its order.

    Args:
        features: a key of ``FEATURES``, or a function of ``uint8`` windows (n, 3, size, size) to float (n, d), e.g.
            ``load_clip(download=True)``.
        normalise: scale each row to length 1, so that Euclidean k-means compares directions, as cosines do. The paper does
            not say whether it does.
        device: where a named network runs.

    Raises:
        SelectionError: unknown name; features of the wrong shape or with NaN. WeightsMissing: a network is not at hand.
    """
    if not callable(features):
        if features not in FEATURES:
            raise SelectionError(f"unknown features {features!r}; there are: {', '.join(FEATURES)}, or a function")
        features = FEATURES[features](device)
    found = []
    for chunk in bar(torch.arange(len(pool)).split(_CHUNK), "features of patches"):
        rows = torch.as_tensor(features(pool.images(chunk))).detach().cpu().double()
        if rows.ndim != 2 or len(rows) != len(chunk):
            raise SelectionError(f"features of {len(chunk)} patches must be ({len(chunk)}, d), got {tuple(rows.shape)}")
        if not bool(rows.isfinite().all()):
            bad = int(chunk[int((~rows.isfinite()).any(1).nonzero()[0])])
            where = pool.pictures.names[int(pool.picture[bad])]
            raise SelectionError(f"features of patch {bad} ({where}) are not finite; mend the function that makes them")
        found.append(rows)
    rows = torch.cat(found)
    # A row of zeros stays what it is.
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12) if normalise else rows
