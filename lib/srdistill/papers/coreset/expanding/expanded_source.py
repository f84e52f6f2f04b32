"""Pictures and soft labels of every epoch, made on the fly: stage 3 of the coreset paper (sections 3 and 3.4).

A source is called with an epoch and returns that epoch's pictures and the teacher's logits; the same epoch always gives the
same. No picture is kept from one epoch to the next. Pictures that are augmented come in the epoch's own order and batches, as
RDED trains on them: CutMix then mixes any two classes as often as chance has it, and each batch shares one box.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from srdistill.diffusion.engine import Engine, checked, interpolated
from srdistill.diffusion.schedule import denoising_steps
from srdistill.images.pictures import PictureError, check_patches, to_float, to_uint8
from srdistill.papers.coreset.expanding.expansion import Expansion
from srdistill.papers.coreset.expanding.latent_mixup import draw_partners, mix_latents
from srdistill.seeds import derive_seed, generator_for
from srdistill.training.augmentation import augment
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.soft_labels import soft_labels

# Bytes of codes that are kept from epoch to epoch.
_KEPT = 2**29


class _Source(ABC):
    """What sources share: an epoch is shuffled, made, augmented by batches as it is trained on, and labelled.

    Args:
        teacher: from float images in [0, 1] to logits (N, classes), normalising inside.
        labels: classes of the pictures (N,). size: side of the pictures. seed: one number for everything that is drawn.
        views: whose augmentation is done before labelling, so that labels are of what a student sees; it is then trained with
            the same ``batch`` but without augmentation and shuffling. None: labels are of the pictures as they are made, in
            their own order, which is what the paper describes. batch: pictures that are made at a time.
    """

    def __init__(
        self, teacher: nn.Module, labels: Tensor, *, classes: int, size: int, seed: int, views: ClassificationRecipe | None,
        batch: int, device: torch.device | str,
    ):  # fmt: skip
        self.teacher, self.labels, self.classes, self.size, self.seed = teacher, labels, classes, size, seed
        self.views, self.batch, self.device = views, batch, torch.device(device)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Positions of the pictures of ``epoch``, by batches: CutMix and shared draws stay within one."""
        if self.views is None:
            return torch.arange(len(self)).split(self.batch)
        return self.views.batches(torch.randperm(len(self), generator=generator_for(self.seed, "order", epoch)))

    @torch.no_grad()
    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Pictures ``uint8`` (N, 3, size, size) and logits float16 (N, classes), both on the CPU, in the order of
        ``batches``."""
        make, batches = self._maker(epoch), self.batches(epoch)
        pictures = torch.cat([make(part) for part in torch.cat(batches).split(self.batch)])
        if self.views is not None:
            for number, part in enumerate(pictures.split(list(map(len, batches)))):
                draws = generator_for(self.seed, "views", epoch, number)
                part.copy_(to_uint8(augment(to_float(part), self.views, draws).images))
        return pictures, soft_labels(self.teacher, pictures, self.classes, self.device)

    @abstractmethod
    def _maker(self, epoch: int) -> Callable[[Tensor], Tensor]:
        """From positions to the pictures of ``epoch`` there, ``uint8``."""


class ExpandedSource(_Source):
    """``source(epoch)``: every patch expanded once and labelled in the same pass, (N, 3, size, size) and (N, classes).

    Args:
        engine: makes the pictures. patches, labels: ``uint8`` (N, 3, h, h) and their classes (N,).
        size: of the pictures, in px.
        expansion: what is done to a patch, e.g. ``ABLATION["superres+aug"]``.
        batch: pictures at a time in the engine; they do not depend on it but for rounding.
        The others as in ``_Source``.

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
        super().__init__(teacher, labels, classes=classes, size=size, seed=seed, views=views, batch=batch, device=device)
        self.engine, self.patches, self.expansion = engine, patches, expansion

    def seeds(self, epoch: int) -> list[int]:
        """The seed of every patch in ``epoch``: together with the patches all that a student is sent."""
        which = epoch if self.expansion.fresh else 0
        return [derive_seed(self.seed, "expansion", which, patch) for patch in range(len(self))]

    def _maker(self, epoch: int) -> Callable[[Tensor], Tensor]:
        seeds, plan, mixed = self.seeds(epoch), self.expansion, None
        if plan.mixup is not None:
            mixed = draw_partners(self.labels, epoch if plan.fresh else 0, self.seed, gamma=plan.mixup)

        def make(index: Tensor) -> Tensor:
            latents, labels = None, self.labels[index]
            if plan.anchored:
                latents = self._encoded(index)
                if mixed is not None:
                    partners, shares = (drawn[index] for drawn in mixed)
                    latents = mix_latents(latents, self._encoded(partners), shares)
            made = self.engine.denoise(latents, labels, [seeds[k] for k in index.tolist()], rho=plan.rho, size=self.size)
            return checked(self.engine, made, labels, self.size)

        return make

    def _encoded(self, index: Tensor) -> Tensor:
        """The codes of the patches there."""
        codes = self._codes
        return self.engine.encode(self.patches[index]) if codes is None else codes[index.to(codes.device)]

    @cached_property
    def _codes(self) -> Tensor | None:
        """Of all patches: every epoch needs them, twice where they are mixed. On a CPU, with TAEF2, making one takes half as
        long as all that follows. None where they would take more than ``_KEPT``."""
        parts = self.patches.split(self.batch)
        first = self.engine.encode(parts[0])
        if first[0].numel() * first.element_size() * len(self) > _KEPT:
            return None
        return torch.cat([first, *map(self.engine.encode, parts[1:])])


class PlainSource(_Source):
    """The same without diffusion: pictures as they are, or interpolated patches, which show what diffusion adds.

    RDED's collages are trained on with ``views``: a recipe with ``collage`` cells in a row, ``crop_scale`` (1 / collage, 1) and
    CutMix. Labelling views here once an epoch is what ``train_student`` with a teacher does batch by batch.

    Args:
        images, labels: ``uint8`` (N, 3, h, h), enlarged or shrunk to ``size`` px where they have another, and classes (N,).
        The others as in ``_Source``.
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
        super().__init__(teacher, labels, classes=classes, size=size, seed=seed, views=views, batch=batch, device=device)
        self.images = images if images.shape[-1] == size else to_uint8(interpolated(images, size))

    def _maker(self, epoch: int) -> Callable[[Tensor], Tensor]:
        return self.images.__getitem__


def _check_source(patches: Tensor, labels: Tensor, classes: int, size: int, batch: int) -> None:
    check_patches(patches, labels)
    if int(labels.max()) >= classes:
        raise PictureError(f"labels lie in {int(labels.min())}..{int(labels.max())}, but there are {classes} classes")
    if min(size, batch) < 1:
        raise ValueError(f"size and batch must be 1 or more, got {size} and {batch}")
