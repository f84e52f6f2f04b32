"""What experts say of pictures: DATM's start (Guo et al., ICLR 2024; NUS-HPC-AI-Lab/DATM, distill/DATM.py)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.trajectories.experts import Expert
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError

# Pixels that go through a network at a time.
_GROUP_PIXELS = 2**20


def agreed_start(
    real: LabelledPictures, batches: RealBatches, net: FlatNetwork, expert: Expert, *, ipc: int, seed: int
) -> DistilledSet:
    """``ipc`` random pictures of every class among those whose class ``expert`` names right with its last weights.

    As they are, ``uint8`` (N, 3, S, S), class after class. Raises SelectionError: a class has fewer such pictures.
    """
    weights, chosen = expert.last.to(batches.device), []
    for label, (name, members) in enumerate(zip(real.classes, batches.members, strict=True)):
        parts = members.split(max(1, _GROUP_PIXELS // real.size**2))
        named = torch.cat([_logits(net, weights, batches.at(part)).argmax(1) for part in parts]).cpu()
        right = members[named == label]
        if len(right) < ipc:
            raise SelectionError(
                f"class {name!r}: the first expert names {len(right)} of its {len(members)} pictures right, {ipc} are needed "
                "to start from; train experts longer, lower ipc, or start from 'real'"
            )
        chosen.append(right[torch.randperm(len(right), generator=generator_for(seed, "agreed start", label))[:ipc]])
    index = torch.cat(chosen)
    return DistilledSet(real.images[index], real.labels[index].cpu(), tuple(real.classes), "agreed_start", {"ipc": ipc})


def label_logits(net: FlatNetwork, experts: Sequence[Expert], pictures: Tensor, labels: Tensor) -> Tensor:
    """Logits (N, K) of pictures in units: the mean over the experts that name a picture right with their last weights; over
    all experts where none does, which happens to pictures that were not chosen for it."""
    said = torch.stack([_logits(net, expert.last.to(pictures.device), pictures) for expert in experts])
    right = said.argmax(2) == labels
    counted = torch.where(right.any(0), right, True).to(said.dtype)[..., None]
    return (said * counted).sum(0) / counted.sum(0)


@torch.no_grad()
def _logits(net: FlatNetwork, weights: Tensor, pictures: Tensor) -> Tensor:
    return net(weights, pictures)
