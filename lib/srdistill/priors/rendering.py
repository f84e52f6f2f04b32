"""From codes to images through a frozen prior: what inversion and latent matching share."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from srdistill.priors.prior import Prior, PriorError


def render(prior: Prior, codes: Tensor) -> Tensor:
    """The images of ``codes`` (N, *code_shape), float (N, 3, size, size), clamped to [0, 1]; differentiable."""
    return prior.decode(codes).clamp(0, 1)


@torch.no_grad()
def render_all(prior: Prior, codes: Tensor, chunk: int) -> Tensor:
    """As ``render`` does, without a graph, ``chunk`` codes at a time."""
    return torch.cat([render(prior, part) for part in codes.split(chunk)])


def check_codes(prior: Prior, codes: Tensor, count: int, size: int) -> None:
    """Raise PriorError unless ``codes`` are finite floats (count, *code_shape) of ``prior`` for images of ``size`` px."""
    needed = (count, *prior.code_shape(size))
    if tuple(codes.shape) != needed or not codes.is_floating_point():
        raise PriorError(
            f"{prior.name}: codes have shape {tuple(codes.shape)} ({codes.dtype}); {count} images of {size} px need "
            f"floats of shape {needed}, as prior.encode makes them"
        )
    bad = (~torch.isfinite(codes)).flatten(1).any(1).nonzero().flatten().tolist()
    if bad:
        raise PriorError(
            f"{prior.name}: {len(bad)} of {count} codes hold NaN or infinity, first code {bad[0]}; encode its picture anew"
        )


@contextmanager
def frozen(prior: nn.Module) -> Iterator[None]:
    """No gradients for the weights meanwhile: they would be kept, and cost memory, for nothing."""
    trainable = [weight for weight in prior.parameters() if weight.requires_grad]
    training = prior.training
    prior.eval().requires_grad_(False)
    try:
        yield
    finally:
        for weight in trainable:
            weight.requires_grad_(True)
        prior.train(training)
