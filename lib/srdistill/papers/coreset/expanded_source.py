"""Pictures and soft labels of every epoch, made on the fly: stage 3 of the coreset paper (sections 3 and 3.4).

A source is called with an epoch and returns that epoch's pictures and the teacher's logits; the same epoch always gives the
same. Nothing is kept from one epoch to the next.
"""

import torch
from torch import Tensor, nn

from srdistill.diffusion.engine import Engine, checked, interpolated
from srdistill.diffusion.schedule import denoising_steps
from srdistill.images.pictures import PictureError, check_patches, to_float, to_uint8
from srdistill.papers.coreset.expansion import Expansion
from srdistill.papers.coreset.latent_mixup import draw_partners, mix_latents
from srdistill.seeds import derive_seed, generator_for
from srdistill.training.augmentation import augment
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.soft_labels import soft_labels


class ExpandedSource:
    """``source(epoch)``: every patch expanded once and labelled in the same pass, (N, 3, size, size) and (N, classes).

    Args:
        engine: makes the pictures. teacher: from float images in [0, 1] to logits (N, classes), normalising inside.
        patches, labels: ``uint8`` (N, 3, h, h) and their classes (N,).
        size: side of the pictures. seed: one number for all seeds of all patches and epochs.
        expansion: what is done to a patch, e.g. ``ABLATION["superres+aug"]``.
        views: whose augmentation is done before labelling, so that labels are of what a student sees; it is then trained
            without one. None: labels are of the pictures as they are made, which is what the paper describes.
        batch: pictures at a time; they do not depend on it but for rounding. Views do.

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
        views: ClassificationRecipe | None = None,
        batch: int = 16,
        device: torch.device | str = "cpu",
    ):
        _check_source(patches, labels, classes, size, batch)
        denoising_steps(engine.steps, expansion.rho)
        self.engine, self.teacher, self.patches, self.labels = engine, teacher, patches, labels
        self.classes, self.size, self.seed, self.expansion = classes, size, seed, expansion
        self.views, self.batch, self.device = views, batch, torch.device(device)

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
                    latents = mix_latents(latents, others, mixed[1][part])
            labels = self.labels[part]
            made = self.engine.denoise(latents, labels, seeds[part], rho=plan.rho, size=self.size)
            made = checked(self.engine, made, labels, self.size)
            made = _viewed(made, self.views, generator_for(self.seed, "expanded views", epoch, first))
            pictures.append(made)
            logits.append(soft_labels(self.teacher, made, self.classes, self.device))
        return torch.cat(pictures), torch.cat(logits)


class PlainSource:
    """The same without diffusion: pictures as they are, or interpolated patches, which show what diffusion adds.

    RDED's collages are trained on with ``views``: a recipe with ``collage`` cells in a row, ``crop_scale`` (1 / collage, 1) and
    CutMix. Labelling views here once an epoch is what ``train_student`` with a teacher does batch by batch.

    Args:
        images, labels: ``uint8`` (N, 3, h, h), enlarged or shrunk to ``size`` where they have another, and classes (N,).
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
        views: ClassificationRecipe | None = None,
        batch: int = 64,
        device: torch.device | str = "cpu",
    ):
        _check_source(images, labels, classes, size, batch)
        self.teacher, self.labels, self.classes, self.size, self.seed = teacher, labels, classes, size, seed
        self.views, self.batch, self.device = views, batch, torch.device(device)
        self.images = images if images.shape[-1] == size else to_uint8(interpolated(images, size))

    def __len__(self) -> int:
        return len(self.images)

    @torch.no_grad()
    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Pictures ``uint8`` (N, 3, size, size) and logits float16 (N, classes), both on the CPU."""
        parts = [
            _viewed(part, self.views, generator_for(self.seed, "plain views", epoch, number))
            for number, part in enumerate(self.images.split(self.batch))
        ]
        pictures = torch.cat(parts)
        return pictures, soft_labels(self.teacher, pictures, self.classes, self.device, self.batch)


def _viewed(pictures: Tensor, recipe: ClassificationRecipe | None, draws: torch.Generator) -> Tensor:
    return pictures if recipe is None else to_uint8(augment(to_float(pictures), recipe, draws).images)


def _check_source(patches: Tensor, labels: Tensor, classes: int, size: int, batch: int) -> None:
    check_patches(patches, labels)
    if int(labels.max()) >= classes:
        raise PictureError(f"labels lie in {int(labels.min())}..{int(labels.max())}, but there are {classes} classes")
    if min(size, batch) < 1:
        raise ValueError(f"size and batch must be 1 or more, got {size} and {batch}")
