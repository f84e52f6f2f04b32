"""Patches with their codes, computed once: what a diffusion model is trained on.

Encoding costs more than a small model's training step, and every patch comes up again and again.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.images.pictures import check_patches, to_float
from srdistill.priors.prior import Prior, PriorError
from srdistill.progress import bar


@dataclass(frozen=True)
class EncodedPatches:
    """``patches``: ``uint8`` (N, 3, S, S). ``labels``: int64 (N,), 0 .. classes - 1. ``codes``: float32 (N, V, C, h, w).

    V = 2 views: the patch and its mirror image, left to right, each encoded from its own pixels, since an encoder need not
    commute with mirroring. V = 1: the patch alone.
    """

    patches: Tensor
    labels: Tensor
    codes: Tensor

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1

    @property
    def factor(self) -> int:
        """Pixels per code cell and side."""
        return self.patches.shape[-1] // self.codes.shape[-1]

    def to(self, device: torch.device | str) -> "EncodedPatches":
        """All of it on ``device``."""
        return EncodedPatches(self.patches.to(device), self.labels.to(device), self.codes.to(device))

    def view_of(self, index: Tensor, mirrored: Tensor) -> Tensor:
        """Patches (B, 3, S, S) ``uint8``, mirrored where ``mirrored`` (B,) says so."""
        chosen = self.patches[index]
        return torch.where(mirrored[:, None, None, None], chosen.flip(-1), chosen)


@torch.no_grad()
def encode_patches(
    prior: Prior,
    patches: Tensor,
    labels: Tensor,
    *,
    mirror: bool = True,
    batch: int = 32,
    device: torch.device | str = "cpu",
) -> EncodedPatches:
    """Encode ``uint8`` patches (N, 3, S, S) with pseudo-labels (N,), and their mirror images if ``mirror``.

    Everything ends up on ``device``: 8 bytes times code size per patch, 4 without mirror images. ``batch``: patches at a time.

    Raises:
        PictureError: patches or labels of the wrong kind. PriorError: codes that are no maps (C, h, w), or not finite.
    """
    check_patches(patches, labels)
    device, size = torch.device(device), patches.shape[-1]
    prior.check_size(size)
    shape = prior.code_shape(size)
    if len(shape) != 3 or shape[1] != shape[2] or size % shape[1]:
        raise PriorError(
            f"{prior.name}: codes {tuple(shape)} are no square maps (C, h, w) that a diffusion transformer can learn"
        )
    prior.to(device)
    dtype = next(prior.parameters()).dtype
    codes = torch.empty(len(patches), 1 + mirror, *shape, device=device)
    for first in bar(range(0, len(patches), batch), f"encoding {len(patches)} patches"):
        images = to_float(patches[first : first + batch].to(device)).to(dtype)
        codes[first : first + batch, 0] = prior.encode(images).float()
        if mirror:
            codes[first : first + batch, 1] = prior.encode(images.flip(-1)).float()
    bad = (~torch.isfinite(codes)).flatten(1).any(1).nonzero().flatten().tolist()
    if bad:
        raise PriorError(
            f"{prior.name}: the codes of {len(bad)} of {len(patches)} patches hold NaN or infinity, first patch {bad[0]}; "
            "encode in float32 (prior.float())"
        )
    return EncodedPatches(patches.to(device), labels.to(device, torch.int64), codes)
