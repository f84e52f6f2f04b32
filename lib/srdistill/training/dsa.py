"""Differentiable Siamese augmentation (Zhao and Bilen, ICML 2021): one operation for a batch, drawn before it is applied.

Six operations, with the ranges of VICO-UoE/DatasetCondensation and the corners of GeorgeCazenavette/mtt-distillation: a grid
that spans the centres of the outer pixels. There a batch and its twin meet by seeding the global generator twice; here what was
drawn is an object, and applying the same one to both is what makes an augmentation Siamese.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT, CUT = 0.125, 0.5  # largest shift of a crop and side of a hole, as shares of the picture's side
LARGEST_SCALE, LARGEST_ANGLE = 1.2, math.radians(15)


@dataclass(frozen=True, eq=False)
class DSADraw:
    """One operation and its parameters, to be applied to float pictures (N, 3, S, S) of any device and any values.

    ``operation``: color, crop, cutout, flip, scale or rotate. ``size``: S in px. ``parameters``: on the CPU, (1, ...), the
    same for all pictures, or (N, ...), those of each.

    What comes into view from outside is 0, the mean colour of normalised pictures, and the hole of a cutout is 0 too. Every
    operation is linear in the pictures, but for the shift of ``color``, and may be differentiated any number of times.
    """

    operation: str
    size: int
    parameters: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Raises ValueError for pictures of another size, or more or fewer than there are parameters for."""
        if not images.is_floating_point() or images.ndim != 4 or images.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"this augmentation takes float pictures (N, C, {self.size}, {self.size}), got {images.dtype} "
                f"{tuple(images.shape)}; draw one for their size"
            )
        if len(self.parameters) not in (1, len(images)):
            raise ValueError(
                f"this augmentation was drawn for {len(self.parameters)} pictures, got {len(images)}; draw one with "
                f"count={len(images)}, or with count=None for any number"
            )
        return _APPLIED[self.operation](images, self.parameters.to(images.device))


def draw_dsa(generator: torch.Generator, size: int, count: int | None = None) -> DSADraw:
    """Draw one of the six operations, all equally likely, and its parameters, for pictures of ``size`` px.

    ``count``: None: one set of parameters for all pictures, for Siamese batches; N: a set for each of N pictures.

    Raises ValueError: ``size`` or ``count`` below 1.
    """
    if size < 1 or (count is not None and count < 1):
        raise ValueError(f"augmentation: size and count must be 1 or more, got {size} and {count}")
    operation = OPERATIONS[int(torch.randint(len(OPERATIONS), (), generator=generator))]
    return DSADraw(operation, size, _DRAWN[operation](generator, size, 1 if count is None else count))


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def _draw_color(generator: torch.Generator, size: int, count: int) -> Tensor:
    """(count, 3): what brightness adds, what saturation and contrast multiply by."""
    return torch.cat([_uniform(generator, *ends, count, 1) for ends in ((-0.5, 0.5), (0.0, 2.0), (0.5, 1.5))], 1)


def _color(images: Tensor, parameters: Tensor) -> Tensor:
    shift, saturation, contrast = parameters.to(images.dtype)[..., None, None, None].unbind(1)
    images = images + shift
    grey = images.mean(1, keepdim=True)
    images = grey + saturation * (images - grey)
    level = images.mean((1, 2, 3), keepdim=True)
    return level + contrast * (images - level)


def _draw_crop(generator: torch.Generator, size: int, count: int) -> Tensor:
    """int64 (count, 2): how far the view moves down and right, px."""
    reach = _share(SHIFT, size)
    return torch.randint(-reach, reach + 1, (count, 2), generator=generator)


def _crop(images: Tensor, parameters: Tensor) -> Tensor:
    count, channels, size, _ = images.shape
    reach = _share(SHIFT, size)
    places = torch.arange(reach, reach + size, device=images.device) + parameters[..., None]
    rows, columns = places[:, 0, None, :, None], places[:, 1, None, None, :]
    padded = F.pad(images, (reach,) * 4)
    return padded.gather(2, rows.expand(count, channels, -1, padded.shape[-1])).gather(
        3, columns.expand(count, channels, size, -1)
    )


def _draw_cutout(generator: torch.Generator, size: int, count: int) -> Tensor:
    """int64 (count, 2): first row and first column of the hole, which may lie outside."""
    side = _share(CUT, size)
    # The centre of a hole of even side lies between pixels: one place more.
    return torch.randint(size + 1 - side % 2, (count, 2), generator=generator) - side // 2


def _cutout(images: Tensor, parameters: Tensor) -> Tensor:
    size = images.shape[-1]
    behind = torch.arange(size, device=images.device) - parameters[..., None]
    rows, columns = ((behind >= 0) & (behind < _share(CUT, size))).unbind(1)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _draw_flip(generator: torch.Generator, size: int, count: int) -> Tensor:
    """bool (count, 1)."""
    return torch.rand(count, 1, generator=generator) < 0.5


def _flip(images: Tensor, parameters: Tensor) -> Tensor:
    return torch.where(parameters[..., None, None], images.flip(3), images)


def _draw_scale(generator: torch.Generator, size: int, count: int) -> Tensor:
    """(count, 2, 3): factors of width and height, each for itself; above 1 the view widens and the picture shrinks."""
    return _pad_shift(torch.diag_embed(_uniform(generator, 1 / LARGEST_SCALE, LARGEST_SCALE, count, 2)))


def _draw_rotation(generator: torch.Generator, size: int, count: int) -> Tensor:
    """(count, 2, 3): rotations about the centre."""
    angle = _uniform(generator, -LARGEST_ANGLE, LARGEST_ANGLE, count)
    cosine, sine = angle.cos(), angle.sin()
    return _pad_shift(torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1))


def _pad_shift(matrices: Tensor) -> Tensor:
    return F.pad(matrices, (0, 1))


def _resampled(images: Tensor, parameters: Tensor) -> Tensor:
    """Each picture seen through its affine map (N, 2, 3), bilinearly."""
    grid = F.affine_grid(parameters.to(images.dtype), [len(parameters), 1, *images.shape[-2:]], align_corners=True)
    return _Sample.apply(images, grid.expand(len(images), -1, -1, -1))


class _Sample(torch.autograd.Function):
    """``grid_sample`` with derivatives of any order in the pictures: torch 2.9 has only the first. The grid has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, grid: Tensor) -> Tensor:
        return F.grid_sample(images, grid, align_corners=True)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return _SampleTransposed.apply(grad, ctx.saved_tensors[0]), None


class _SampleTransposed(torch.autograd.Function):
    """The transposed linear map: its own derivative is ``_Sample`` again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(grad: Tensor, grid: Tensor) -> Tensor:
        # Of the pictures only the shape counts where no derivative of the grid is asked for: they may be ``grad`` too.
        bilinear, zeros, align_corners = 0, 0, True
        found = torch.ops.aten.grid_sampler_2d_backward(grad, grad, grid, bilinear, zeros, align_corners, [True, False])
        return found[0]

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return _Sample.apply(grad, ctx.saved_tensors[0]), None


def _share(share: float, size: int) -> int:
    """Of ``size`` px, rounded to the nearest, halves up."""
    return int(share * size + 0.5)


_DRAWN: dict[str, Callable[[torch.Generator, int, int], Tensor]] = {
    "color": _draw_color,
    "crop": _draw_crop,
    "cutout": _draw_cutout,
    "flip": _draw_flip,
    "scale": _draw_scale,
    "rotate": _draw_rotation,
}
_APPLIED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
    "scale": _resampled,
    "rotate": _resampled,
}
OPERATIONS = tuple(_DRAWN)
