"""Augmentation of a whole batch at once, on its device, from numbers drawn on the CPU.

The usual transforms work picture by picture; here a batch is one gather and one ``grid_sample``.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.training.classification_recipe import ClassificationRecipe

# The range of width / height of a random crop, torchvision's.
RATIO = (3 / 4, 4 / 3)
_TRIES = 10


@dataclass(frozen=True)
class Augmented:
    """``images``: float (N, 3, S, S). With CutMix, ``1 - share`` of picture i comes from picture ``partner[i]``."""

    images: Tensor
    partner: Tensor | None = None
    share: float = 1.0

    def mix(self, targets: Tensor) -> Tensor:
        """Class probabilities (N, K) of the pictures before CutMix to those of the mixed pictures, by area."""
        return targets if self.partner is None else self.share * targets + (1 - self.share) * targets[self.partner]


def augment(images: Tensor, recipe: ClassificationRecipe, generator: torch.Generator) -> Augmented:
    """Float pictures (N, 3, S, S) to an augmented batch: cells shuffled, cropped and resized to S, flipped, CutMix."""
    count, size = len(images), images.shape[-1]
    if recipe.collage > 1:
        images = shuffle_cells(images, recipe.collage, generator)
    boxes = random_boxes(count, size, recipe.crop_scale, generator)
    flips = torch.rand(count, generator=generator) < 0.5
    if not recipe.flip:
        flips = torch.zeros_like(flips)
    if recipe.crop_scale != (1.0, 1.0) or recipe.flip:
        images = resized_crops(images, boxes, flips)
    if not recipe.cutmix:
        return Augmented(images)
    partner = torch.randperm(count, generator=generator).to(images.device)
    top, bottom, left, right = cut_box(size, generator)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    return Augmented(mixed, partner, 1 - (bottom - top) * (right - left) / size**2)


def random_boxes(count: int, size: int, scale: tuple[float, float], generator: torch.Generator) -> Tensor:
    """int64 (count, 4): top, left, height, width of random crops of pictures of ``size`` px.

    The area is uniform in ``scale`` times that of the picture, the logarithm of width / height uniform in 3/4..4/3. A crop
    that does not fit is drawn again, up to ten times; then it is the whole picture. As torchvision's RandomResizedCrop.
    """
    area = size**2 * (scale[0] + (scale[1] - scale[0]) * torch.rand(count, _TRIES, generator=generator, dtype=torch.float64))
    low, high = map(math.log, RATIO)
    ratio = torch.exp(low + (high - low) * torch.rand(count, _TRIES, generator=generator, dtype=torch.float64))
    width, height = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (width >= 1) & (height >= 1) & (width <= size) & (height <= size)
    first, rows = fits.int().argmax(1), torch.arange(count)
    whole = ~fits.any(1)
    height, width = height[rows, first].masked_fill(whole, size), width[rows, first].masked_fill(whole, size)
    place = torch.rand(2, count, generator=generator, dtype=torch.float64)
    top, left = (place[0] * (size - height + 1)).long(), (place[1] * (size - width + 1)).long()
    return torch.stack([top, left, height, width], 1)


def resized_crops(images: Tensor, boxes: Tensor, flips: Tensor) -> Tensor:
    """Cut ``boxes`` (N, 4) out of float (N, 3, S, S), resize each to S bilinearly, and flip where ``flips`` (N,) says so.

    Equal to cropping and ``interpolate(mode="bilinear", align_corners=False)`` one by one. A crop is never larger than
    the result, so there is nothing to antialias.
    """
    size = images.shape[-1]
    boxes = boxes.to(images.device, torch.float32)
    centers = torch.arange(size, device=images.device) + 0.5
    top, left, height, width = (side[:, None] for side in boxes.unbind(1))
    rows = _within(centers * height / size - 0.5, height) + top
    columns = _within(centers * width / size - 0.5, width) + left
    columns = torch.where(flips.to(images.device)[:, None], columns.flip(1), columns)
    grid = torch.stack([columns[:, None, :].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], -1)
    return F.grid_sample(images, (2 * grid + 1) / size - 1, mode="bilinear", padding_mode="border", align_corners=False)


def cut_box(size: int, generator: torch.Generator) -> tuple[int, int, int, int]:
    """(top, bottom, left, right), in px, of the box that CutMix pastes into pictures of ``size`` px (Yun et al. 2019,
    section 3): area uniform, centre uniform, cut off at the border."""
    half = int(size * math.sqrt(float(torch.rand((), generator=generator, dtype=torch.float64)))) // 2
    y, x = torch.randint(size, (2,), generator=generator).tolist()
    return max(y - half, 0), min(y + half, size), max(x - half, 0), min(x + half, size)


def shuffle_cells(images: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """Shuffle the rows of cells, and the columns, of each ``factor`` x ``factor`` collage (N, 3, S, S), as RDED does.

    Where ``factor`` does not divide S the first cells are a pixel longer, as ``collages`` of the coreset paper makes them.

    Raises ValueError: more cells than pixels.
    """
    count, _, size, _ = images.shape
    if size < factor:
        raise ValueError(f"a collage of {factor} x {factor} cells cannot be {size} px; use {factor} px or more")
    orders = torch.rand(2, count, factor, generator=generator).argsort(-1)
    # By single rows and columns of pixels, so that cells may differ in length.
    cell = torch.arange(factor).repeat_interleave(torch.tensor([size // factor + (k < size % factor) for k in range(factor)]))
    places = orders.argsort(-1)[:, :, cell].argsort(dim=-1, stable=True).to(images.device)
    images = images.gather(2, places[0][:, None, :, None].expand_as(images))
    return images.gather(3, places[1][:, None, None, :].expand_as(images))


def _within(places: Tensor, length: Tensor) -> Tensor:
    """Clamp to the centres of the crop's first and last pixels: nothing outside a crop is seen."""
    return torch.minimum(places.clamp(min=0), length - 1)
