"""Mixup in the latent space of an engine (section 3.3 of the coreset paper): two anchors of one class become one."""

import torch
from torch import Tensor

from srdistill.seeds import generator_for


def draw_partners(labels: Tensor, epoch: int, seed: int, *, gamma: tuple[float, float] = (0.5, 1.0)) -> tuple[Tensor, Tensor]:
    """For every patch another one of its class, int64 (N,), and its own share gamma, float32 (N,), uniform in ``gamma``.

    Both depend on (seed, epoch, patch) and the labels alone. A patch that is the only one of its class is its own partner.
    The paper's gamma is not known (protocol notes, section 10); by default the patch itself has the larger share.
    Raises ValueError for a range outside [0, 1].
    """
    if not 0 <= gamma[0] <= gamma[1] <= 1:
        raise ValueError(f"gamma is a range of shares in [0, 1], got {gamma}; (0.5, 0.5) mixes both patches equally")
    partners, shares = [], []
    members = {label: (labels == label).nonzero().flatten().tolist() for label in set(labels.tolist())}
    for patch, label in enumerate(labels.tolist()):
        draws = generator_for(seed, "latent mixup", epoch, patch)
        others = [index for index in members[label] if index != patch] or [patch]
        partners.append(others[int(torch.randint(len(others), (), generator=draws))])
        shares.append(gamma[0] + (gamma[1] - gamma[0]) * float(torch.rand((), generator=draws)))
    return torch.tensor(partners, dtype=torch.int64), torch.tensor(shares, dtype=torch.float32)


def mix_latents(first: Tensor, second: Tensor, gamma: Tensor) -> Tensor:
    """z = gamma z1 + (1 - gamma) z2 of latents (N, C, k, k); ``gamma`` (N,).

    Two independent latents then have gamma^2 + (1 - gamma)^2 of the variance, half of it at 0.5, which a decoder shows as grey
    and blur. It is the paper's mix nevertheless: those of one class are alike, and lose less.
    """
    gamma = gamma.to(first).view(-1, 1, 1, 1)
    return gamma * first + (1 - gamma) * second
