"""How far apart a classifier's gradients on real and on synthetic pictures are, as Dataset Condensation measures it.

To the letter of VICO-UoE/DatasetCondensation (utils.py, "ours"): its 1e-6 is small beside gradients of a cross entropy, so the
care that the much smaller gradients of super-resolution need is not needed here.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

_EPSILON = 1e-6


def row_distance(synthetic: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Sum over weights and their rows (output channels) of 1 - cosine. ``synthetic``, ``real``: gradients of the same weights,
    (rows, ...) each. A scalar, from 0 to twice the number of rows."""
    total = 0
    for s, r in zip(synthetic, real, strict=True):
        s, r = s.flatten(1), r.flatten(1)
        total = total + (1 - (s * r).sum(1) / (s.norm(dim=1) * r.norm(dim=1) + _EPSILON)).sum()
    return total


class MatchedWeights:
    """The weights of a network whose gradients are compared: all but biases and the scales of norms, which have one dimension.

    ``all``: every weight by name, detached, that training may change.
    """

    def __init__(self, network: nn.Module):
        self.network = network
        self.all = {name: weight.detach() for name, weight in network.named_parameters()}
        self.names = [name for name, weight in self.all.items() if weight.ndim > 1]

    def gradients(self, pictures: Tensor, labels: Tensor, create_graph: bool = False) -> tuple[Tensor, ...]:
        """Of the cross entropy, mean over the pictures (N, 3, S, S) in units, with respect to the matched weights."""
        matched = {name: self.all[name].requires_grad_() for name in self.names}
        loss = F.cross_entropy(functional_call(self.network, self.all | matched, (pictures,)), labels)
        return torch.autograd.grad(loss, list(matched.values()), create_graph=create_graph)

    def train(self, derive: Callable[[Callable[[Tensor], Tensor]], Tensor], lr: float) -> None:
        """One SGD step of all weights; ``derive`` gives the loss, a scalar, of a network that it is handed."""
        leaves = {name: weight.detach().requires_grad_() for name, weight in self.all.items()}
        loss = derive(lambda pictures: functional_call(self.network, leaves, (pictures,)))
        found = torch.autograd.grad(loss, list(leaves.values()))
        self.all = {name: (weight - lr * g).detach() for (name, weight), g in zip(leaves.items(), found, strict=True)}
