"""The feature space of a network's layer: what it makes of images, and the moments of its channels."""

import torch
from torch import Tensor, nn

from srdistill.images.pictures import to_float

# Below this a channel does not vary over the real patches, and matching it relative to its spread would divide by nothing.
_SMALLEST_SPREAD = 1e-6


class _Reached(Exception):
    """The wanted layer has been computed; the rest of the network, which works at four times the side, is not needed."""

    def __init__(self, output: Tensor):
        self.output = output


def _stop(module: nn.Module, inputs: tuple, output: Tensor) -> None:
    raise _Reached(output)


class LayerFeatures:
    """What a layer of a network makes of images: first and second moments of its channels."""

    def __init__(self, network: nn.Module, layer: str):
        modules = dict(network.named_modules())
        if not layer or layer not in modules:
            known = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"{type(network).__name__} has no layer {layer!r}; it has: {known}, and what is inside them")
        self.network, self.layer, self.module = network, layer, modules[layer]

    def __call__(self, images: Tensor) -> Tensor:
        """Float images (N, 3, H, W) in [0, 1] to features (N, channels, positions); differentiable."""
        handle = self.module.register_forward_hook(_stop)
        try:
            self.network(images)
        except _Reached as reached:
            return reached.output.flatten(2)
        finally:
            handle.remove()
        raise ValueError(f"{type(self.network).__name__} does not use its layer {self.layer!r}; name another")

    def moments(self, images: Tensor) -> tuple[Tensor, int]:
        """Sums of values and squares over images and positions, (2, channels), double, and how many; differentiable."""
        found = self(images).double()
        return torch.stack([found.sum((0, 2)), found.square().sum((0, 2))]), found.shape[0] * found.shape[2]

    @torch.no_grad()
    def means(self, images: Tensor, chunk: int) -> Tensor:
        """Means of the values and of their squares (2, channels), ``chunk`` images at a time."""
        parts = [self.moments(to_float(p) if p.dtype == torch.uint8 else p) for p in images.split(chunk)]
        return sum(total for total, _ in parts) / sum(count for _, count in parts)

    def of_classes(self, patches: Tensor, labels: Tensor, classes: int, chunk: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation by class (classes, 2, channels), and every channel's deviation over all patches (channels,)."""
        device = next(self.network.parameters()).device
        moments = torch.stack([self.means(patches[labels == index].to(device), chunk) for index in range(classes)])
        share = torch.bincount(labels, minlength=classes).to(device).double() / len(labels)
        whole = (moments * share[:, None, None]).sum(0)
        spread = (whole[1] - whole[0].square()).clamp(min=_SMALLEST_SPREAD**2).sqrt()
        return torch.stack([statistics(one) for one in moments]), spread


def statistics(moments: Tensor) -> Tensor:
    """Mean and standard deviation (2, channels) from mean and mean square."""
    return torch.stack([moments[0], (moments[1] - moments[0].square()).clamp(min=_SMALLEST_SPREAD**2).sqrt()])
