"""Random resized crops, many at a time: every crop is two small matrix products, whatever its size.

Boxes of all sizes cannot be resized by one call of ``interpolate``. Here the antialiased bilinear weights of each crop's rows
and columns stand in a matrix each, so a batch of crops is two batched products, differentiable.
"""

import math

import torch
from torch import Tensor

from srdistill.images.pictures import PictureError

_ATTEMPTS = 10


def draw_boxes(
    count: int,
    side: int,
    generator: torch.Generator,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """``count`` random windows of pictures of ``side`` px, int64 (count, 4): top, left, height, width.

    As torchvision's RandomResizedCrop draws them: a share of the area uniform in ``scale``, the logarithm of width over
    height uniform in that of ``ratio``, the place uniform; of ten draws the first that fits, else the whole picture.

    Raises:
        PictureError: impossible scale, ratio, side or count.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise PictureError(f"scale of crops is a range of shares of the area in (0, 1], got {scale}; e.g. (0.08, 1)")
    if not 0 < ratio[0] <= ratio[1] < math.inf:
        raise PictureError(f"ratio of crops is a range of width over height above 0, got {ratio}; e.g. (3 / 4, 4 / 3)")
    if side < 1 or count < 0:
        raise PictureError(f"pictures have 1 px or more and crops are counted from 0, got side {side} and count {count}")
    draws = torch.rand(4, _ATTEMPTS, count, generator=generator, dtype=torch.float64)
    area = side * side * (scale[0] + draws[0] * (scale[1] - scale[0]))
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (low + draws[1] * (high - low)).exp()
    width, height = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (width >= 1) & (width <= side) & (height >= 1) & (height <= side)
    first = fits.long().argmax(0, keepdim=True)
    width, height, down, right = (values.gather(0, first)[0] for values in (width, height, draws[2], draws[3]))
    whole = ~fits.any(0)
    width, height = width.masked_fill(whole, side), height.masked_fill(whole, side)
    top, left = (down * (side - height + 1)).long(), (right * (side - width + 1)).long()
    return torch.stack([top, left, height, width], dim=1)


def _weights(start: Tensor, length: Tensor, side: int, size: int) -> Tensor:
    """(N, size, side): triangle weights of one axis, stretched when shrinking, nothing beyond the crop's border."""
    start, length = start.float()[:, None, None], length.float()[:, None, None]
    step = length / size
    centers = start + (torch.arange(size)[:, None] + 0.5) * step
    pixels = torch.arange(side) + 0.5
    weights = (1 - (pixels - centers).abs() / step.clamp(min=1)).clamp(min=0)
    weights = weights * ((pixels > start) & (pixels < start + length))
    return weights / weights.sum(-1, keepdim=True)


def resized_crops(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """The windows ``boxes`` of square float images, resized to ``size`` px with antialiased bilinear weights; differentiable.

    ``images``: (N, C, S, S). ``boxes``: (N * P, 4) as ``draw_boxes`` gives them, P for each image, those of one image
    together. Returns (N * P, C, size, size). As ``interpolate(crop, antialias=True)`` one by one.

    Raises:
        PictureError: images that are not square, boxes beyond the border or not a multiple of the images, ``size`` below 1.
    """
    count, side = len(images), images.shape[-1]
    if images.ndim != 4 or images.shape[-2] != side or not images.is_floating_point():
        raise PictureError(f"crops are made of square float images (N, C, S, S), got {images.dtype} {tuple(images.shape)}")
    if size < 1 or boxes.ndim != 2 or boxes.shape[1] != 4 or (count and len(boxes) % count) or (not count and len(boxes)):
        raise PictureError(
            f"{count} images need boxes (N * P, 4) and a size of 1 px or more, got {tuple(boxes.shape)} and {size} px"
        )
    top, left, height, width = boxes.cpu().unbind(1)
    inside = (top >= 0) & (left >= 0) & (height >= 1) & (width >= 1) & (top + height <= side) & (left + width <= side)
    if not bool(inside.all()):
        bad = int((~inside).nonzero()[0])
        raise PictureError(f"box {bad} {boxes[bad].tolist()} (top, left, height, width) leaves its picture of {side} px")
    per_image = len(boxes) // max(1, count)
    rows, columns = (_weights(*axis, side, size).to(images) for axis in ((top, height), (left, width)))
    # Every image is read once for all of its crops: (P s, S) @ (S, C S), then (s C, S) @ (S, s) for each crop.
    halfway = rows.view(count, per_image * size, side) @ images.transpose(1, 2).flatten(2)
    crops = halfway.view(len(boxes), size * images.shape[1], side) @ columns.mT
    return crops.view(len(boxes), size, images.shape[1], size).transpose(1, 2).contiguous()
