"""What expands a small patch into a full picture: interpolate, encode, add noise, denoise in a few steps, decode (section 3.2
of "Diffusion-Augmented Coreset Expansion for Scalable Dataset Distillation").

A picture's noise, at the start and in every step, comes from its own seed alone: the student makes the teacher's pictures
again from patches and seeds, whatever batches either works in.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from srdistill.images.pictures import check_patches, to_float, to_uint8
from srdistill.images.resize import resize


class EngineError(RuntimeError):
    """An engine that cannot be built or gives no pictures; the message says what to change."""


@runtime_checkable
class Engine(Protocol):
    """``name``: for tables. ``bytes``: of the weights without which patches and seeds are no pictures. ``steps``: of its
    sampler; with ``distinct_settings`` they say which rho differ."""

    name: str
    bytes: int
    steps: int

    def encode(self, patches: Tensor) -> Tensor:
        """``uint8`` patches (N, 3, h, h) to clean latents, float32 (N, C, k, k) on the engine's device. Draws nothing."""

    def denoise(self, latents: Tensor | None, labels: Tensor, seeds: Sequence[int], *, rho: float, size: int) -> Tensor:
        """Clean latents (N, C, k, k), noised to ``rho`` and denoised, as pictures of ``size`` px: ``uint8`` (N, 3, size, size),
        on the CPU.

        ``latents`` None: from noise and the class alone, which needs rho = 1. ``labels``: classes (N,). ``seeds``: (N,).
        """


def expand(
    engine: Engine, patches: Tensor, labels: Tensor, seeds: Sequence[int], *, rho: float, size: int, batch: int = 16
) -> Tensor:
    """Patches ``uint8`` (N, 3, h, h) of classes ``labels`` (N,) to pictures ``uint8`` (N, 3, size, size) of ``size`` px.

    ``rho``: strength of the noise, in (0, 1]. ``batch``: patches at a time.

    Raises:
        StrengthError: rho outside (0, 1] or too small for a step. EngineError, SamplingError: the engine gives no pictures.
        ValueError: numbers of patches, labels and seeds that differ.
    """
    if batch < 1:
        raise ValueError(f"batch must be 1 or more, got {batch}")
    check_request(labels, seeds, patches)
    made = []
    for first in range(0, len(patches), batch):
        part = slice(first, first + batch)
        latents = engine.encode(patches[part])
        made.append(checked(engine, engine.denoise(latents, labels[part], seeds[part], rho=rho, size=size), labels[part], size))
    return torch.cat(made) if made else torch.empty(0, 3, size, size, dtype=torch.uint8)


def interpolated(patches: Tensor, size: int) -> Tensor:
    """``uint8`` patches (N, 3, h, h) resized to float (N, 3, size, size) of ``size`` px in [0, 1]: INTERP of section 3.2.2,
    which the paper leaves open. Bicubic with a = -0.5, as Pillow's."""
    check_patches(patches)
    return resize(to_float(patches), (size, size)).clamp(0, 1)


def resized_pictures(pictures: Tensor, size: int) -> Tensor:
    """``uint8`` (N, 3, H, H) from an engine's own size to ``size`` px; unchanged if they have it."""
    return pictures if pictures.shape[-1] == size else to_uint8(resize(to_float(pictures), (size, size)))


def own_noise(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator per picture, on the CPU, so that every device draws the same."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def check_request(labels: Tensor, seeds: Sequence[int], patches: Tensor | None) -> None:
    """Raise ValueError unless there is a label and a seed for every picture: labels (N,), patches (N, 3, h, w)."""
    count = len(labels) if patches is None else len(patches)
    if len(labels) != count or len(seeds) != count:
        raise ValueError(f"{count} pictures need a label and a seed each, got {len(labels)} labels and {len(seeds)} seeds")


def checked(engine: Engine, pictures: Tensor, labels: Tensor, size: int) -> Tensor:
    """``pictures``, or EngineError if they are not ``uint8`` (N, 3, size, size), of ``size`` px, one per label (N,)."""
    if pictures.is_floating_point() and not bool(torch.isfinite(pictures).all()):
        bad = int((~torch.isfinite(pictures)).flatten(1).any(1).nonzero()[0])
        raise EngineError(
            f"{engine.name}: picture {bad} (class {int(labels[bad])}) holds NaN or infinity; run its decoder in float32"
        )
    if pictures.dtype != torch.uint8 or pictures.shape != (len(labels), 3, size, size):
        raise EngineError(
            f"{engine.name}: an engine gives uint8 ({len(labels)}, 3, {size}, {size}), got {pictures.dtype} "
            f"{tuple(pictures.shape)}; convert with to_uint8, resize with resized_pictures"
        )
    return pictures
