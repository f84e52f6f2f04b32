"""Downscaled pictures: the start of Dietz et al., tables 2 and 3, and their strong undistilled baseline."""

import torch

from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc, draw_windows


def downscaled(
    real: Pictures, *, ipc: int, size: int, generator: torch.Generator, geometry: str = "crop"
) -> DistilledSet:
    """Each picture shrunk to ``size`` x ``size`` px by MATLAB-style bicubic.

    ``geometry``: the paper does not say how a wide picture becomes square. ``crop`` takes the central square, ``squash``
    gives up the aspect ratio. Images after the first of a picture (``ipc`` above 1, which the paper does not have)
    are random square windows between ``size`` and the whole shorter side, shrunk likewise.

    Raises ValueError: an unknown geometry.
    """
    if geometry not in ("crop", "squash"):
        raise ValueError(f"unknown geometry {geometry!r}; there are: crop, squash")
    check_ipc(ipc)
    draws = generator_for(generator.initial_seed(), "downscaled")
    shortest = torch.tensor([min(image.shape[1:]) for image in real.images]).clamp(min=size)
    sides = (size + torch.rand(len(real), ipc, generator=draws) * (shortest[:, None] - size + 1)).long()
    windows = draw_windows(real, size, torch.minimum(sides, shortest[:, None]), draws)
    images = []
    for index, (label, window) in enumerate(windows):
        if index % ipc == 0:
            whole = real.images[label]
            side = min(whole.shape[1:])
            top, left = (whole.shape[1] - side) // 2, (whole.shape[2] - side) // 2
            window = whole if geometry == "squash" else whole[:, top : top + side, left : left + side]
        images.append(to_uint8(resize(to_float(window), (size, size))))
    return DistilledSet(
        torch.stack(images),
        torch.tensor([label for label, _ in windows]),
        real.names,
        "downscaled",
        {"ipc": ipc, "size": size, "geometry": geometry},
    )
