"""The networks that learn: one architecture, one file; LR (N, 3, h, w) in [0, 1] in, SR (N, 3, scale*h, scale*w) out."""

from collections.abc import Callable

import torch
from torch import nn

from srdistill.networks.edsr import EDSR
from srdistill.networks.hit_sr import HiTSR
from srdistill.networks.rcan import RCAN
from srdistill.networks.rrdbnet import RRDBNet
from srdistill.networks.srcnn import SRCNN
from srdistill.networks.srformer import SRFormer
from srdistill.networks.vdsr import VDSR
from srdistill.seeds import derive_seed

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "SRCNN": SRCNN,
    "VDSR": VDSR,
    "EDSR": EDSR,
    "RCAN": RCAN,
    "SRFormer": SRFormer,
    "HiTSR": HiTSR,
    "RRDBNet": RRDBNet,
}


def build_network(architecture: str, scale: int, seed: int, **sizes) -> nn.Module:
    """A freshly initialised network; its weights depend on ``seed`` alone and torch's global generator is left as it was.

    ``sizes`` are the architecture's own arguments (width, depth, kernels).

    Raises ValueError: an unknown architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown network {architecture!r}; there are: {', '.join(ARCHITECTURES)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "network"))
        return ARCHITECTURES[architecture](scale=scale, **sizes)


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
