"""Improved distribution matching (IDM; Zhao et al., CVPR 2023): DM in networks that are trained meanwhile, with a cross
entropy, and with four pictures in one.

Protocol notes: uitrbn/IDM, IDM_cifar10.py and the settings of its command.txt. Its pictures are moved after every class, so the
momentum of the other classes moves theirs along.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.expanding.coreset_patches import random_coreset
from srdistill.papers.coreset.matching.learned import Pixels, check_learned, learned_set, tenth_ended
from srdistill.papers.coreset.matching.network_queue import NetworkQueue
from srdistill.papers.coreset.matching.partition import gathered, partition
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import LossMeter
from srdistill.training.resumable import resumable


@dataclass(frozen=True)
class ImprovedMatching:
    """Settings of ``idm``; the defaults are published for 10 pictures per class of CIFAR-10.

    ``lr``, ``momentum``: of SGD on the pictures in units. ``real_batch``: real pictures of a class at a time (one picture per
    class: all of the class). ``ce_weight``: of the cross entropy, which is also multiplied by the matched network's training
    accuracy in percent; 0.1 for many pictures, 3 for ImageNet. ``factor``: cells in a row of a picture. ``augment``: one
    operation and parameters per class, the same for real and synthetic pictures.

    Networks: ``first`` are there at the start, every ``every`` iterations (one picture per class: 5) a fresh one comes, and
    ``most`` are kept. In every iteration one is matched, and ``trained`` of them make ``steps`` steps on ``network_batch`` real
    pictures, by SGD at ``network_lr`` with ``network_momentum`` and ``network_decay``.
    """

    iterations: int = 20_000
    lr: float = 0.2
    momentum: float = 0.5
    real_batch: int = 256
    ce_weight: float = 0.5
    factor: int = 2
    augment: bool = True
    first: int = 3
    every: int = 30
    most: int = 100
    trained: int = 2
    steps: int = 10
    network_batch: int = 256
    network_lr: float = 0.01
    network_momentum: float = 0.9
    network_decay: float = 5e-4

    def __post_init__(self):
        counts = (self.iterations, self.real_batch, self.factor, self.first, self.every, self.most, self.network_batch)
        if min(counts) < 1 or min(self.trained, self.steps) < 0:
            raise ValueError(
                "iterations, real_batch, factor, first, every, most and network_batch must be 1 or more, and trained and steps "
                f"0 or more, got {counts} and {self.trained, self.steps}"
            )
        if not (0 <= self.lr < math.inf and 0 <= self.network_lr < math.inf and 0 <= self.ce_weight < math.inf):
            raise ValueError(
                "lr, network_lr and ce_weight must be finite and not negative, got "
                f"{self.lr}, {self.network_lr} and {self.ce_weight}"
            )
        if not (0 <= self.momentum < 1 and 0 <= self.network_momentum < 1 and 0 <= self.network_decay < math.inf):
            raise ValueError(
                "momenta must be in [0, 1) and network_decay not negative, got "
                f"{self.momentum}, {self.network_momentum} and {self.network_decay}"
            )


def idm(
    real: LabelledPictures,
    *,
    ipc: int,
    generator: torch.Generator,
    network: dict,
    matching: ImprovedMatching = ImprovedMatching(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures of ``factor**2`` cells for every class, as learned floats, from random real pictures, each in a cell.

    Float32 (N, 3, S, S) of the size of ``real``. Students are to be trained on ``partition`` of the pictures
    (``settings["factor"]``): what the matched networks see.

    Args:
        network: settings of ``build_classifier``, without BatchNorm; published: ConvNet, width 128, instance norm.

    History, means over a tenth of the iterations, 50 at most: ``loss``; its parts ``distance``, as of
    ``distribution_matching``, and ``cross_entropy``, without weight, all means over classes; ``accuracy`` of the matched
    network in percent. Resumed from ``checkpoint``, the result is the same bit for bit.

    Raises:
        Diverged: a loss or a picture became NaN. SelectionError: a class has fewer pictures than cells. PictureError: the size
        of the pictures is no multiple of ``factor``. ValueError: a network with BatchNorm, no ``ipc``.
    """
    check_ipc(ipc)
    device, seed, cells = torch.device(device), generator.initial_seed(), matching.factor**2
    units = channel_units(real).to(device)
    whole = random_coreset(real, ipc=ipc * cells, factor=1, generator=generator, scale=(1.0, 1.0))
    start = gathered(units.normalised(to_float(whole.images).to(device)), matching.factor)
    learned = Pixels(start, units, matching.lr, matching.momentum)
    run = _Improving(learned, RealBatches(real, units, seed, device), real, network, matching, seed, device)
    label = f"matching distributions of cells, IPC {ipc}"
    for k in resumable(matching.iterations, label, checkpoint, run.state, run.restore):
        run.step(k)
    check_learned(learned, "IDM", run.remedy)
    return learned_set(learned, real, "idm", ipc, {"network": network, **asdict(matching)}, run.meter.history)


class _Improving:
    """What an iteration changes, and how."""

    def __init__(
        self,
        learned: Pixels,
        batches: RealBatches,
        real: LabelledPictures,
        network: dict,
        matching: ImprovedMatching,
        seed: int,
        device: torch.device,
    ):
        self.learned, self.batches, self.matching, self.seed, self.device = learned, batches, matching, seed, device
        self.classes, self.size = len(real.classes), real.size
        self.queue = NetworkQueue(
            lambda number: unit_network(network, real, derive_seed(seed, "network", number), device),
            matching.most, matching.network_lr, matching.network_momentum, matching.network_decay,
        )  # fmt: skip
        for _ in range(matching.first):
            self.queue.push()
        self.remedy = f"lower lr ({matching.lr}) or ce_weight ({matching.ce_weight})"
        self.meter = LossMeter("IDM", self.remedy)

    def step(self, k: int) -> None:
        """Iteration ``k``: one network matched class by class, then some trained."""
        matching, draws, found = self.matching, generator_for(self.seed, "queue", k), []
        if k and k % matching.every == 0:
            self.queue.push()
        chosen = self.queue.pick(draws)
        for label in range(self.classes):
            self.learned.step(
                lambda units, label=label: self._derive(units, chosen.network, chosen.accuracy, k, label, found)
            )
        losses = torch.stack(found).mean(0)
        losses = dict(zip(("loss", "distance", "cross_entropy"), losses, strict=True))
        losses |= {"accuracy": losses["loss"].new_tensor(chosen.accuracy)}
        self.meter.add(losses, k, tenth_ended(k, matching.iterations))
        for turn in range(matching.trained):
            trainee = self.queue.pick(draws)
            for step in range(matching.steps):
                trainee.train(*self.batches.of_all(matching.network_batch, k, turn, step))

    def _derive(self, units: Tensor, network: Classifier, accuracy: float, k: int, label: int, found: list) -> Tensor:
        matching, ipc = self.matching, len(units) // self.classes
        ours = slice(label * ipc, (label + 1) * ipc)
        leaf = units[ours].detach().requires_grad_()
        seen, theirs = partition(leaf, matching.factor), self.batches.of_class(label, matching.real_batch, k)
        if matching.augment:
            draw = draw_dsa(generator_for(self.seed, "siamese", k, label), self.size)
            seen, theirs = draw(seen), draw(theirs)
        with torch.no_grad():
            target = network.embed(theirs).mean(0)
        distance = (network.embed(seen).mean(0) - target).square().sum()
        entropy = F.cross_entropy(network(seen), torch.full((len(seen),), label, device=self.device))
        loss = distance + matching.ce_weight * accuracy * entropy
        found.append(torch.stack([loss, distance, entropy]).detach())
        gradient = torch.zeros_like(units)
        (gradient[ours],) = torch.autograd.grad(loss, leaf)
        return gradient

    def state(self) -> dict:
        return {"learned": self.learned.state(), "queue": self.queue.state(), "losses": self.meter.state()}

    def restore(self, saved: dict) -> None:
        self.learned.restore(saved["learned"])
        self.queue.restore(saved["queue"])
        self.meter.restore(saved["losses"], self.device)
