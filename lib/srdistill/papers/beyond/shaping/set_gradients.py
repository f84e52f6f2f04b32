"""What a network would learn from a set in one step, and how far two sets are apart in it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.resize import downscale
from srdistill.training.gradient_distances import row_distance

_BATCH = 64


def set_gradients(network: nn.Module, images: Tensor, scale: int, graph: bool = False) -> list[Tensor]:
    """Gradients of the mean square error over all ``images``, float (N, 3, s, s) in [0, 1], by the weights with two dimensions
    or more: biases, which ``row_distance`` does not count, are left out. ``graph``: to be differentiated by the images again,
    which go through the network all at once then. Raises ValueError without images."""
    if not len(images):
        raise ValueError("a set without images has no gradients")
    weights, total = [weight for weight in network.parameters() if weight.ndim > 1], []
    with torch.inference_mode(False), torch.enable_grad():
        for part in images.split(len(images) if graph else _BATCH):
            error = F.mse_loss(network(downscale(part, scale)), part) * (len(part) / len(images))
            found = torch.autograd.grad(error, weights, create_graph=graph)
            total = [a + b for a, b in zip(total, found, strict=True)] if total else list(found)
    return total


def gap(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """The distance of two sets' gradients, one tensor per weight, over the number of rows: 1 - cosine, a mean over filters, a
    scalar in [0, 2]."""
    rows = sum(len(weight) for weight in theirs)
    return row_distance([weight[None] for weight in ours], [weight[None] for weight in theirs])[0] / rows
