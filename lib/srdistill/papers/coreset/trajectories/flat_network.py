"""A network as a function of one vector of all its weights, in which trajectories are stored and differentiated."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


class FlatNetwork:
    """``network(weights, pictures)``: the logits with ``weights`` (P,) in place of its own, in the order of its parameters."""

    def __init__(self, network: nn.Module):
        self.network = network
        self.shapes = {name: weight.shape for name, weight in network.named_parameters()}
        self.lengths = [shape.numel() for shape in self.shapes.values()]

    def __len__(self) -> int:
        return sum(self.lengths)

    @property
    def weights(self) -> Tensor:
        """Its own, a copy (P,)."""
        return torch.cat([weight.detach().flatten() for weight in self.network.parameters()])

    def __call__(self, weights: Tensor, pictures: Tensor) -> Tensor:
        parts = weights.split(self.lengths)
        named = {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
        return functional_call(self.network, named, (pictures,))

    def loss(self, weights: Tensor, pictures: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, mean over pictures in units; ``labels``: classes (N,) int64, or logits (N, K) of soft labels."""
        if labels.is_floating_point():
            labels = F.softmax(labels, 1)
        return F.cross_entropy(self(weights, pictures), labels)
