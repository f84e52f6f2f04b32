"""Tiles by the step that a network would take on them: gradients of the last layer, randomly projected.

Two tiles with the same gradient teach the same at that moment (CRAIG, Mirzasoleiman et al., ICML 2020; GRAD-MATCH,
Killamsetty et al., ICML 2021, section 4, which keep the last layer as well). Projections keep inner products up to an error of
about 1 / sqrt(width) (Johnson and Lindenstrauss 1984).
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from srdistill.images.convention import low_resolution
from srdistill.images.pictures import to_float
from srdistill.papers.beyond.tiles.tile_embedding import Embedding
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import SelectionError


def last_layer(network: nn.Module) -> nn.Conv2d:
    """The convolution that comes last in the network's list of modules. Raises SelectionError if there is none."""
    found = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not found:
        raise SelectionError(f"{type(network).__name__} has no convolution, so no last layer whose gradients could be taken")
    return found[-1]


def last_layer_gradients(tiles: Tensor, network: nn.Module, scale: int) -> Tensor:
    """Gradients of each tile's own loss, the mean |network(LR) - HR|, by the weights of its last layer: float32 (N, p).

    ``tiles``: ``uint8`` (N, 3, t, t). LR pictures are made of the tiles, as everywhere (``low_resolution``). ``network`` stays
    as it is. Raises SelectionError unless the layer is a plain one: zero padding, no stride, dilation or groups.
    """
    layer, seen = last_layer(network), []
    plain = layer.groups == 1 and {*layer.dilation, *layer.stride} == {1} and layer.padding_mode == "zeros"
    if (
        not plain
        or isinstance(layer.padding, str)
        or any(p >= k for p, k in zip(layer.padding, layer.kernel_size, strict=True))
    ):
        raise SelectionError(
            f"the last layer must have zero padding in px below its kernel, no stride, groups or dilation, got {layer}"
        )

    def watch(_, inputs, output):
        # From here on there is something to differentiate by; what comes before costs no memory.
        output = output.detach().requires_grad_()
        seen.append((inputs[0].detach(), output))
        return output

    device = layer.weight.device
    hr, lr = (to_float(part.to(device)) for part in (tiles, low_resolution(tiles, scale)))
    fixed = {name: value.detach() for name, value in (*network.named_parameters(), *network.named_buffers())}
    handle = layer.register_forward_hook(watch)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            losses = (functional_call(network, fixed, (lr,)) - hr).abs().flatten(1).mean(1)
            (inputs, output) = seen[0]
            (slope,) = torch.autograd.grad(losses.sum(), output)
    finally:
        handle.remove()
    return _weight_gradients(inputs, slope, layer.kernel_size, layer.padding).flatten(1).cpu()


def _weight_gradients(inputs: Tensor, slope: Tensor, kernel: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Of a convolution without stride, for each of N samples: from its inputs (N, C, H, W) and the slopes of the loss by its
    outputs (N, O, h, w), those by its weights (N, O, C, *kernel).

    The weight at (y, x) meets input q at output q - (y, x) + padding. Shifting the slopes, three channels, and not the inputs,
    dozens of channels, as ``unfold`` would, is seven times faster for SRCNN and needs a tenth of the memory.
    """
    (tall, wide), (height, width) = kernel, inputs.shape[2:]
    down, across = tall - 1 - padding[0], wide - 1 - padding[1]
    slope = F.pad(slope, (across, across, down, down))
    shifted = torch.stack(
        [
            slope[:, :, tall - 1 - y : tall - 1 - y + height, wide - 1 - x : wide - 1 - x + width].flatten(2)
            for y in range(tall)
            for x in range(wide)
        ],
        1,
    )
    return torch.einsum("nkop,ncp->nock", shifted, inputs.flatten(2)).unflatten(3, kernel)


def _features(tiles: Tensor, networks: Sequence[nn.Module], scale: int, projections: Sequence[Tensor]) -> Tensor:
    found = 0
    for network, projection in zip(networks, projections, strict=True):
        gradients = last_layer_gradients(tiles, network, scale)
        # Each network counts the same, whatever the size of its last layer.
        found = found + gradients / gradients.norm(dim=1, keepdim=True).clamp(min=1e-12) @ projection
    return found / len(networks) ** 0.5


def gradient_embedding(networks: Sequence[nn.Module], scale: int, generator: torch.Generator, width: int = 64) -> Embedding:
    """Gradients of the last layers of trained ``networks``, scaled to length 1 each, side by side, and projected to ``width``.

    Meant for SRCNN and a small EDSR at two moments of their training each, four networks in all. Entries of the
    projection are Gaussian of variance 1 / width, drawn for each network from the generator's seed.

    Raises SelectionError without networks, or for a width below 1.
    """
    if not networks or width < 1:
        raise SelectionError(f"a gradient embedding needs a network and a width of 1 or more, got {len(networks)} and {width}")
    projections = []
    for position, network in enumerate(networks):
        draws = generator_for(generator.initial_seed(), "gradient projection", position)
        projections.append(torch.randn(last_layer(network).weight.numel(), width, generator=draws) / width**0.5)
    return Embedding(
        "gradients", partial(_features, networks=networks, scale=scale, projections=projections), standardise=False
    )
