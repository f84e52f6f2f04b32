"""The gradient of a distance of images with respect to the codes that they are rendered from, in bounded memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from srdistill.priors.prior import Prior
from srdistill.priors.rendering import render, render_all


def code_gradients(
    prior: Prior, codes: Tensor, matcher: Callable[[Tensor, slice], tuple[Tensor, Tensor]], ipc: int, chunk: int
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Distances per class and their sum's gradient with respect to ``codes`` (C * ipc, *code_shape), exactly.

    GLaD's way to keep memory small: images are made without a graph, the distance is derived with respect to them, then the
    generator runs again, ``chunk`` codes at a time, and takes the images' gradient on to the codes. Where the images of a
    group of whole classes fit into one chunk the graph of the first run is kept instead, which saves the second.

    Args:
        matcher: from the images of some classes (n, 3, H, W) in [0, 1], and the slice of those classes, to distances per class
            and the gradient with respect to the images.

    Returns:
        Distances (C,), gradient (the shape of ``codes``), and ``min``, ``mean`` and ``max`` of the images.
    """
    values, gradients, lows, means, highs = [], [], [], [], []
    group = max(1, chunk // ipc)
    for first in range(0, len(codes) // ipc, group):
        ours = codes[first * ipc : (first + group) * ipc]
        once = len(ours) <= chunk
        if once:
            leaf = ours.detach().requires_grad_()
            graph = render(prior, leaf)
            images = graph.detach()
        else:
            images = render_all(prior, ours, chunk)
        found, image_gradient = matcher(images, slice(first, first + group))
        values.append(found)
        lows.append(images.min()), means.append(images.mean() * len(images)), highs.append(images.max())
        if once:
            gradients += torch.autograd.grad(graph, leaf, image_gradient)
            continue
        for part, wanted in zip(ours.split(chunk), image_gradient.split(chunk), strict=True):
            leaf = part.detach().requires_grad_()
            gradients += torch.autograd.grad(render(prior, leaf), leaf, wanted)
    statistics = {
        "min": torch.stack(lows).min(), "mean": torch.stack(means).sum() / len(codes), "max": torch.stack(highs).max(),
    }  # fmt: skip
    return torch.cat(values), torch.cat(gradients), statistics
