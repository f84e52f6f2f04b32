"""RDED's images (Sun et al., CVPR 2024): collages of the patches that ``coreset_patches`` or its control selects."""

import io

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.sets.distilled_set import DistilledSet, SetError


def collages(
    real: LabelledPictures, *, patches: DistilledSet, generator: torch.Generator, jpeg: int | None = None
) -> DistilledSet:
    """``ipc`` pictures of S px, as the ``real`` ones, for every class, each of factor x factor patches of the class.

    Cell k of picture i, row by row, gets the patch of rank k * ipc + i, so that the best patches are spread over all pictures
    (LINs-lab/RDED, synthesize/utils.py). Where ``factor`` does not divide their size the first rows and columns of cells are
    one pixel longer.

    Of ``real`` only the size counts, and nothing is drawn: ``patches`` is what ``coreset_patches`` or
    ``random_coreset`` returned. ``jpeg``: quality in which the pictures are stored and read again; the published code stores
    them as JPEG at Pillow's own quality, 75. None: as they are.

    Raises:
        SetError: no such set of patches. ValueError: impossible quality.
    """
    missing = {"ipc", "factor"} - set(patches.settings)
    if missing:
        raise SetError(f"a set made by {patches.method!r} has no {' and '.join(sorted(missing))}; give that of coreset_patches")
    if jpeg is not None and not 1 <= jpeg <= 95:
        raise ValueError(f"the quality of a JPEG is 1 to 95, got {jpeg}; the published code uses 75")
    ipc, factor, classes = patches.settings["ipc"], patches.settings["factor"], len(patches.names)
    if len(patches) != classes * ipc * factor**2:
        raise SetError(f"{len(patches)} patches are not {ipc} x {factor}^2 for each of {classes} classes; select them anew")
    size = real.size
    if size < factor:
        raise ValueError(f"pictures of {size} px have no {factor} cells in a row; use larger pictures")
    lengths = [size // factor + (index < size % factor) for index in range(factor)]
    cells = patches.images.unflatten(0, (classes, factor, factor, ipc))
    rows = [
        torch.cat([_fitted(cells[:, i, j].flatten(0, 1), lengths[i], lengths[j]) for j in range(factor)], dim=-1)
        for i in range(factor)
    ]
    images = torch.cat(rows, dim=-2)
    if jpeg is not None:
        images = torch.stack([_stored(image, jpeg) for image in images])
    settings = patches.settings | {"size": size, "patches": patches.method, "jpeg": jpeg}
    return DistilledSet(images, torch.arange(classes).repeat_interleave(ipc), patches.names, "collages", settings)


def _fitted(patches: Tensor, height: int, width: int) -> Tensor:
    return patches if patches.shape[-2:] == (height, width) else F.interpolate(patches, (height, width), mode="nearest")


def _stored(image: Tensor, quality: int) -> Tensor:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as file:
        return torch.from_numpy(np.array(file)).permute(2, 0, 1).contiguous()
