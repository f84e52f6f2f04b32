"""Pictures held once on the device, crops of any of them drawn in one gather.

Decoding a whole PNG for every training crop is what makes the usual loaders slow. Here all pixels lie in one flat
``uint8`` buffer on the device, and a batch of crops with its flips is a single indexed read.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from srdistill.images.pictures import PictureError


def d4(images: Tensor, element: int) -> Tensor:
    """One of the eight flips and quarter turns of (..., H, W), ``element`` in 0..7.

    Bit 0 flips left-right, bit 1 flips up-down, bit 2 transposes: they commute exactly with bicubic resizing of
    square crops, so LR and HR stay a pair.
    """
    if element & 1:
        images = images.flip(-1)
    if element & 2:
        images = images.flip(-2)
    if element & 4:
        images = images.transpose(-1, -2)
    return images


def undo_d4(images: Tensor, element: int) -> Tensor:
    """The inverse of ``d4``: ``undo_d4(d4(x, e), e)`` is ``x``. Transposes first, then flips."""
    if element & 4:
        images = images.transpose(-1, -2)
    return d4(images, element & 3)


class CropBank:
    """``uint8`` pictures (3, H, W) of any sizes in one buffer on ``device``. Raises PictureError: no pictures."""

    def __init__(self, images: Iterable[Tensor], device: torch.device | str = "cpu"):
        images = list(images)
        if not images:
            raise PictureError("no pictures to crop from")
        sizes = torch.tensor([image.shape[1:] for image in images])
        areas = sizes.prod(1)
        self.device = torch.device(device)
        self.heights, self.widths = sizes[:, 0].contiguous(), sizes[:, 1].contiguous()
        self._offsets = areas.cumsum(0) - areas
        self._pixels = torch.cat([image.permute(1, 2, 0).reshape(-1, 3) for image in images]).to(self.device)

    def __len__(self) -> int:
        return len(self.heights)

    def crop(self, which: Tensor, top: Tensor, left: Tensor, size: int, element: Tensor | None = None) -> Tensor:
        """Crops of ``size`` px, ``uint8`` (B, 3, size, size).

        ``which``, ``top``, ``left`` and ``element`` (see ``d4``) are (B,).

        Raises PictureError: a crop reaches over the border of its picture.
        """
        inside = (top >= 0) & (left >= 0) & (top + size <= self.heights[which]) & (left + size <= self.widths[which])
        if not bool(inside.all()):
            raise PictureError(f"a crop of {size} px reaches over the border of its picture")
        grid = self._grids(size)
        rows, columns = (grid[:1] if element is None else grid[element]).unbind(1)
        index = (self._offsets[which] + top * self.widths[which] + left)[:, None, None] + (
            rows * self.widths[which][:, None, None] + columns
        )
        return self._pixels[index.to(self.device, non_blocking=True)].permute(0, 3, 1, 2)

    def random_crops(self, count: int, size: int, generator: torch.Generator, which: Tensor | None = None) -> Tensor:
        """Uniformly placed crops with uniform flips, ``uint8`` (count, 3, size, size) of ``size`` px.

        ``which``: the pictures, (count,); drawn in proportion to their pixels unless given.

        Raises PictureError: a picture is smaller than its crop.
        """
        if which is None:
            which = torch.multinomial(
                (self.heights * self.widths).double(), count, replacement=True, generator=generator
            )
        room_y, room_x = self.heights[which] - size, self.widths[which] - size
        if int(torch.minimum(room_y, room_x).min()) < 0:
            smallest = int(torch.minimum(self.heights, self.widths).min())
            raise PictureError(f"crops of {size} px do not fit a picture of {smallest} px; use a smaller patch")
        uniform = torch.rand(2, len(which), generator=generator, dtype=torch.float64)
        top = (uniform[0] * (room_y + 1)).long()
        left = (uniform[1] * (room_x + 1)).long()
        element = torch.randint(8, (len(which),), generator=generator)
        return self.crop(which, top, left, size, element)

    def _grids(self, size: int) -> Tensor:
        """(8, 2, size, size): row and column offsets of each flip, so that a flip costs nothing."""
        if getattr(self, "_grid", None) is None or self._grid.shape[-1] != size:
            plane = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"))
            self._grid = torch.stack([d4(plane, element) for element in range(8)])
        return self._grid
