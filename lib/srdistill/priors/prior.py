"""What a prior is: a module that turns codes into pictures, differentiably."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class PriorError(ValueError):
    """A code, layer or checkpoint that a prior cannot work with; the message names the value and the remedy."""


@runtime_checkable
class Prior(Protocol):
    """The interface that inversion and latent matching rely on; every prior is a ``torch.nn.Module`` too.

    A prior comes frozen and in eval mode. To tune it, copy it and switch ``requires_grad`` on.

    ``name``: for tables and provenance, e.g. ``"TAEF2"``. ``bytes``: what its decoder's weights take as stored,
    without which a kept code is no picture.
    """

    name: str
    bytes: int

    def check_size(self, size: int) -> None:
        """Raise ValueError, with the remedy, if it cannot make pictures of ``size`` x ``size`` pixels."""

    def code_shape(self, size: int) -> tuple[int, ...]:
        """The shape of one code of a ``size`` x ``size`` px picture. Raises ValueError as ``check_size`` does."""

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, *code_shape) to float (N, 3, size, size): differentiable, not clamped, meant for [0, 1].

        Raises PriorError for codes of another shape or with values that are not finite.
        """

    def encode(self, images: Tensor) -> Tensor:
        """Float (N, 3, size, size) in [0, 1] to codes (N, *code_shape) to start an inversion from, without gradient."""


def check_finite(name: str, codes: Tensor) -> None:
    """Raise PriorError if one of the codes (N, ...) holds NaN or infinity; one bad value would spoil the whole picture."""
    finite = codes.detach().isfinite()
    if not bool(finite.all()):
        bad = torch.unique((~finite).nonzero()[:, 0]).tolist()
        first = codes.detach()[~finite][0].item()
        raise PriorError(
            f"{name}: {len(bad)} of {len(codes)} codes hold values that are not finite (code {bad[0]}: {first}); "
            "lower the learning rate of the codes, or start again from encode"
        )


def check_images(name: str, images: Tensor) -> None:
    """Raise PriorError unless ``images`` are float (N, 3, H, W) in [0, 1]."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise PriorError(
            f"{name} encodes float images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}; convert uint8 with to_float"
        )
    if not images.numel():
        return
    low, high = images.aminmax()
    # Written so that NaN fails as well.
    if not (float(low) >= -1e-4 and float(high) <= 1 + 1e-4):
        raise PriorError(
            f"{name} encodes images in [0, 1], got values in [{float(low):g}, {float(high):g}]; clamp or rescale them"
        )


def stored_bytes(module: nn.Module) -> int:
    """Bytes of all weights and buffers of ``module`` in their present precision."""
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
