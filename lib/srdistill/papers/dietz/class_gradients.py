"""Gradients of a network per class, all classes at once, and how far real and synthetic ones are apart.

The reference codes loop over the classes in Python. Here a chunk of classes goes through ``torch.func`` together: with
the weights shared, one convolution serves all classes of the chunk, and only what differs per class (the weights'
gradients) is computed per class. Classes do not interact while the network is fixed, so memory is that of one chunk.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from srdistill.images.resize import downscale
from srdistill.training.gradient_distances import DISTANCES, WITHOUT_BIASES, check_distance

Weights = dict[str, Tensor]


def matched_weights(network: nn.Module, distance: str) -> tuple[Weights, Weights]:
    """The weights whose gradients are compared, and the rest (biases, where they count nothing); detached."""
    check_distance(distance)
    matched, rest = {}, {name: buffer for name, buffer in network.named_buffers()}
    for name, weight in network.named_parameters():
        (rest if distance in WITHOUT_BIASES and weight.ndim == 1 else matched)[name] = weight.detach()
    return matched, rest


def chunk_size(device: torch.device, images_per_class: int, size: int) -> int:
    """How many classes go through together.

    On a CPU one: a convolution of one class keeps two cores busy, and the grouped convolutions that several classes
    need are slower there (SRCNN 9-5-5, 32 classes of 64 px on 2 cores: 2.2 s one by one, 2.7 s by four, 3.9 s all at
    once). On a GPU as many as two million pixels, for below that the launches cost more than the work.
    """
    return 1 if device.type == "cpu" else max(1, 2**21 // (images_per_class * size * size))


def _chunks(images: Sequence[Tensor]) -> Iterator[slice]:
    """Runs of classes with equally many images, cut to the chunk size."""
    start = 0
    while start < len(images):
        count, size = images[start].shape[0], images[start].shape[-1]
        longest = chunk_size(images[start].device, count, size)
        stop = start + 1
        while stop < len(images) and stop - start < longest and images[stop].shape == images[start].shape:
            stop += 1
        yield slice(start, stop)
        start = stop


def _gradients(network: nn.Module, matched: Weights, rest: Weights, hr: Tensor, scale: int) -> list[Tensor]:
    """Gradients of the MSE loss per class, (C, *shape) per weight, for HR images (C, n, 3, H, W)."""

    def loss(weights: Weights, lr: Tensor, hr: Tensor) -> Tensor:
        return F.mse_loss(functional_call(network, {**weights, **rest}, (lr,)), hr)

    lr = downscale(hr, scale)
    if len(hr) == 1:
        return [g[None] for g in grad(loss)(matched, lr[0], hr[0]).values()]
    return list(vmap(grad(loss), in_dims=(None, 0, 0))(matched, lr, hr).values())


def real_gradients(
    network: nn.Module, weights: tuple[Weights, Weights], images: Sequence[Tensor], scale: int
) -> list[Tensor]:
    """Detached gradients on real images: ``images`` holds one float tensor (n, 3, H, W) in [0, 1] per class."""
    parts = [_gradients(network, *weights, torch.stack(list(images[chunk])), scale) for chunk in _chunks(images)]
    return [torch.cat(tensors).detach() for tensors in zip(*parts, strict=True)]


def match(
    network: nn.Module,
    weights: tuple[Weights, Weights],
    synthetic: Tensor,
    real: Sequence[Tensor],
    scale: int,
    distance: str = "rows",
) -> tuple[Tensor, Tensor]:
    """The distance per class (C,) and its gradient with respect to the synthetic images (C, ipc, 3, H, W).

    ``real``: what ``real_gradients`` returned. LR is derived from the synthetic HR images, differentiably.
    """
    distances, gradients = [], []
    for chunk in _chunks(list(synthetic)):
        images = synthetic[chunk].detach().requires_grad_()
        ours = _gradients(network, *weights, images, scale)
        values = DISTANCES[distance](ours, [tensor[chunk] for tensor in real])
        gradients.append(torch.autograd.grad(values.sum(), images)[0])
        distances.append(values.detach())
    return torch.cat(distances), torch.cat(gradients)


def distances(
    network: nn.Module,
    weights: tuple[Weights, Weights],
    synthetic: Tensor,
    real: Sequence[Tensor],
    scale: int,
    distance: str = "rows",
) -> Tensor:
    """The distances per class (C,) of ``match`` alone, without a second derivative."""
    ours = real_gradients(network, weights, list(synthetic), scale)
    return DISTANCES[distance](ours, list(real))
