"""Pictures and soft labels of every epoch, made on the fly: stage 3 of the coreset paper (sections 3 and 3.4).

A source is called with an epoch and returns that epoch's pictures and the teacher's logits; the same epoch always gives the
same. Nothing is kept from one epoch to the next.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from srdistill.distill.engine import Engine, check_patch_images, checked, interpolated
from srdistill.distill.expansion import Expansion
from srdistill.distill.latent_mixup import draw_partners, mix_latents
from srdistill.distill.strength import denoising_steps
from srdistill.distill.teacher_logits import TeacherError, teacher_logits
from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.images.resized_crops import draw_boxes, resized_crops
from srdistill.seeds import derive_seed, generator_for

Source = Callable[[int], tuple[Tensor, Tensor]]
# The sides of crops as torchvision draws them by default.
RATIO = (3 / 4, 4 / 3)


class ExpandedSource:
    """``source(epoch)``: every patch expanded once and labelled in the same pass, (N, 3, size, size) and (N, classes).

    Args:
        engine: makes the pictures. teacher: from float images in [0, 1] to logits (N, classes), normalising inside.
        patches, labels: ``uint8`` (N, 3, h, h) and their classes (N,).
        size: side of the pictures. seed: one number for all seeds of all patches and epochs.
        expansion: what is done to a patch, e.g. ``ABLATION["superres+aug"]``.
        augment: done to a batch of float pictures before it is labelled, with the batch's generator, e.g.
            ``random_views(size)``; None: the pictures as they are, which is what the paper describes.
        batch: pictures at a time; they do not depend on it but for rounding. augment's draws do.

    Raises:
        PictureError: no patches, or of the wrong kind. StrengthError: rho leaves the engine no step. When called, what the
        engine raises, EngineError and TeacherError.
    """

    def __init__(
        self,
        engine: Engine,
        teacher: nn.Module,
        patches: Tensor,
        labels: Tensor,
        *,
        classes: int,
        size: int,
        seed: int,
        expansion: Expansion,
        augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        batch: int = 16,
        device: torch.device | str = "cpu",
    ):
        _check_source(patches, labels, classes, size, batch)
        denoising_steps(engine.steps, expansion.rho)
        self.engine, self.teacher, self.patches, self.labels = engine, teacher, patches, labels
        self.classes, self.size, self.seed, self.expansion = classes, size, seed, expansion
        self.augment, self.batch, self.device = augment, batch, torch.device(device)

    def __len__(self) -> int:
        return len(self.patches)

    def seeds(self, epoch: int) -> list[int]:
        """The seed of every patch in ``epoch``: together with the patches all that a student is sent."""
        which = epoch if self.expansion.fresh else 0
        return [derive_seed(self.seed, "expansion", which, patch) for patch in range(len(self))]

    @torch.no_grad()
    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Pictures ``uint8`` (N, 3, size, size) and logits float16 (N, classes), both on the CPU."""
        seeds, plan = self.seeds(epoch), self.expansion
        mixed = None
        if plan.mixup is not None:
            which = epoch if plan.fresh else 0
            mixed = draw_partners(self.labels, which, self.seed, gamma=plan.mixup)
        pictures, logits = [], []
        for first in range(0, len(self), self.batch):
            part = slice(first, first + self.batch)
            latents = None
            if plan.anchored:
                latents = self.engine.encode(self.patches[part])
                if mixed is not None:
                    others = self.engine.encode(self.patches[mixed[0][part]])
                    latents = mix_latents(latents, others, mixed[1][part], plan.mix)
            labels = self.labels[part]
            made = self.engine.denoise(latents, labels, seeds[part], rho=plan.rho, size=self.size)
            made = checked(self.engine, made, labels, self.size)
            if self.augment is not None:
                made = to_uint8(self.augment(to_float(made), generator_for(self.seed, "expanded views", epoch, first)))
            pictures.append(made)
            logits.append(soft_labels(self.teacher, made, self.classes, self.device))
        return torch.cat(pictures), torch.cat(logits)


class PlainSource:
    """The same without diffusion: pictures as they are or interpolated, shuffled and cropped at random, and labelled.

    RDED's collages are trained on with ``factor`` and ``crop`` (LINs-lab/RDED, validation/); interpolated patches, which show
    what diffusion adds, without.

    Args:
        images, labels: ``uint8`` (N, 3, h, h), enlarged or shrunk to ``size`` where they have another, and classes (N,).
        factor: cells in a row of a collage, which are shuffled in every epoch; 1: none.
        crop: lowest share of the area of a random resized crop, with a flip: 1 / factor in RDED. None: neither.
        The others as in ``ExpandedSource``.
    """

    def __init__(
        self,
        teacher: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        classes: int,
        size: int,
        seed: int,
        factor: int = 1,
        crop: float | None = None,
        interpolation: str = "bicubic",
        batch: int = 64,
        device: torch.device | str = "cpu",
    ):
        _check_source(images, labels, classes, size, batch)
        if factor < 1 or factor > size:
            raise ValueError(f"factor is the number of cells in a row of pictures of {size} px, got {factor}")
        self.teacher, self.labels, self.classes, self.size, self.seed = teacher, labels, classes, size, seed
        self.factor, self.batch, self.device = factor, batch, torch.device(device)
        self.view = random_views(size, crop) if crop is not None else None
        self.images = images if images.shape[-1] == size else to_uint8(interpolated(images, size, interpolation))

    def __len__(self) -> int:
        return len(self.images)

    @torch.no_grad()
    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Pictures ``uint8`` (N, 3, size, size) and logits float16 (N, classes), both on the CPU."""
        pictures = self.images
        if self.factor > 1:
            pictures = shuffled_cells(pictures, self.factor, generator_for(self.seed, "collage cells", epoch))
        made = []
        for first in range(0, len(self), self.batch):
            part = pictures[first : first + self.batch]
            if self.view is not None:
                part = to_uint8(self.view(to_float(part), generator_for(self.seed, "plain views", epoch, first)))
            made.append(part)
        pictures = torch.cat(made)
        return pictures, soft_labels(self.teacher, pictures, self.classes, self.device, self.batch)


def soft_labels(
    teacher: nn.Module, pictures: Tensor, classes: int, device: torch.device | str = "cpu", batch: int = 256
) -> Tensor:
    """The teacher's logits of ``uint8`` pictures in float16, (N, classes), as soft labels are stored and sent.

    Raises TeacherError as ``teacher_logits`` does, and for logits beyond float16's 65504.
    """
    logits = teacher_logits(teacher, pictures, classes=classes, batch=batch, device=device)
    half = logits.half()
    if not bool(torch.isfinite(half).all()):
        raise TeacherError(
            f"the teacher's logits reach {float(logits.abs().max()):.3g}, more than float16 holds; scale its head"
        )
    return half


def soft_label_bytes(pictures: int, classes: int, epochs: int) -> int:
    """What the float16 labels of ``pictures`` per epoch take that a student is sent; the paper does not count them."""
    return 2 * pictures * classes * epochs


def random_views(size: int, lowest: float = 0.5) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Random resized crops of at least ``lowest`` of the area, and random flips: float (N, 3, H, H) to (N, 3, size, size)."""
    draw_boxes(0, size, torch.Generator(), scale=(lowest, 1.0))  # refuses impossible shares

    def view(images: Tensor, generator: torch.Generator) -> Tensor:
        boxes = draw_boxes(len(images), images.shape[-1], generator, scale=(lowest, 1.0), ratio=RATIO)
        flipped = torch.rand(len(images), generator=generator) < 0.5
        crops = resized_crops(images, boxes, size)
        return torch.where(flipped.to(crops.device)[:, None, None, None], crops.flip(-1), crops)

    return view


def shuffled_cells(images: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """The factor x factor cells of each picture (N, C, H, H) in a new order, of its own for every picture.

    Where ``factor`` does not divide H the pixels that are left over, below and right, stay where they are.
    """
    cell = images.shape[-1] // factor
    inner = cell * factor
    parts = images[..., :inner, :inner].unflatten(-2, (factor, cell)).unflatten(-1, (factor, cell))
    cells = parts.movedim((2, 4), (1, 2)).flatten(1, 2)  # (N, factor^2, C, cell, cell)
    order = torch.rand(len(images), factor**2, generator=generator).argsort(1).to(images.device)
    cells = cells[torch.arange(len(images), device=images.device)[:, None], order].unflatten(1, (factor, factor))
    result = images.clone()
    result[..., :inner, :inner] = cells.movedim((1, 2), (2, 4)).flatten(-2).flatten(-3, -2)
    return result


def _check_source(patches: Tensor, labels: Tensor, classes: int, size: int, batch: int) -> None:
    check_patch_images(patches)
    if not len(patches):
        raise PictureError("no patches to make pictures of; select some first (coreset_patches)")
    if labels.shape != patches.shape[:1] or labels.is_floating_point():
        raise PictureError(
            f"{len(patches)} patches need {len(patches)} integer labels, got {labels.dtype} {tuple(labels.shape)}"
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise PictureError(f"labels lie in {int(labels.min())}..{int(labels.max())}, but there are {classes} classes")
    if min(size, batch) < 1:
        raise ValueError(f"size and batch must be 1 or more, got {size} and {batch}")
