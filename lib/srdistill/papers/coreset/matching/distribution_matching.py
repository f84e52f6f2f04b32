"""Distribution matching (DM; Zhao and Bilen, WACV 2023): the mean features of synthetic pictures are those of real ones.

Every iteration draws an untrained network and moves the pictures of each class so that the mean of what its last layer is given
comes near that of real pictures of the class, under one augmentation for both. No label enters but the division into classes.
Protocol notes: VICO-UoE/DatasetCondensation, main_DM.py. With codes in place of pixels it is GLaD's.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.matching.learned import Pixels, begin, check_learned, learned_set, tenth_ended
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import channel_units, unit_network
from srdistill.priors.prior import Prior
from srdistill.seeds import derive_seed, generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import LossMeter
from srdistill.training.resumable import resumable

# Real pictures go through the network in groups of whole classes of about this many pixels.
_GROUP_PIXELS = 2**22


@dataclass(frozen=True)
class DistributionMatching:
    """Settings of ``distribution_matching``; the defaults are published for 1 and 10 pictures per class.

    ``lr``, ``momentum``: of SGD on the pictures in units (or on codes; GLaD: 10). ``real_batch``: real pictures of a class in
    every iteration. ``augment``: one operation and parameters per class, the same for real and synthetic pictures.
    """

    iterations: int = 20_000
    lr: float = 1.0
    momentum: float = 0.5
    real_batch: int = 256
    augment: bool = True

    def __post_init__(self):
        if min(self.iterations, self.real_batch) < 1:
            raise ValueError(f"iterations and real_batch must be 1 or more, got {self.iterations} and {self.real_batch}")
        if not (0 <= self.lr < math.inf and 0 <= self.momentum < 1):
            raise ValueError(f"lr must be finite and not negative and momentum in [0, 1), got {self.lr} and {self.momentum}")


def distribution_matching(
    real: LabelledPictures,
    *,
    ipc: int,
    generator: torch.Generator,
    network: dict,
    matching: DistributionMatching = DistributionMatching(),
    start: str | DistilledSet = "real",
    prior: Prior | None = None,
    chunk: int = 10,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures of every class whose mean features match those of the real ones, as learned floats.

    Args, raises: as ``dataset_condensation``. History, means over a tenth of the iterations, 50 at
    most: ``distance``, mean over classes of the squared length of the difference of mean features (summed over features).
    """
    device, seed = torch.device(device), generator.initial_seed()
    units = channel_units(real).to(device)
    learned = begin(
        real, ipc=ipc, start=start, units=units, lr=matching.lr, momentum=matching.momentum, generator=generator,
        device=device, prior=prior, chunk=chunk,
    )  # fmt: skip
    unit_network(network, real, 0)  # that it can be built is known before any work
    run = _Matching(learned, RealBatches(real, units, seed, device), real, network, matching, ipc, seed, device)
    label = f"matching distributions, IPC {ipc}"
    for k in resumable(matching.iterations, label, checkpoint, run.state, run.restore):
        run.step(k)
    check_learned(learned, "distribution matching", run.remedy)
    settings = {"start": start if isinstance(start, str) else start.method, "network": network, **asdict(matching)}
    return learned_set(learned, real, "distribution_matching", ipc, settings, run.meter.history)


@torch.no_grad()
def class_means(network: Classifier, batches: Sequence[Tensor]) -> Tensor:
    """Mean features (C, F) of one batch of pictures in units for each class, several classes at a time."""
    means, group = [], []
    for label, pictures in enumerate(batches):
        group.append(pictures)
        pixels = sum(len(part) for part in group) * pictures.shape[-1] ** 2
        if pixels >= _GROUP_PIXELS or label + 1 == len(batches):
            features = network.embed(torch.cat(group))
            means += [part.mean(0) for part in features.split([len(part) for part in group])]
            group = []
    return torch.stack(means)


def distances(network: Classifier, pictures: Tensor, targets: Tensor) -> Tensor:
    """Squared distances (C,) of the mean features of pictures (C * ipc, 3, S, S), class after class, from ``targets``."""
    means = network.embed(pictures).unflatten(0, (len(targets), -1)).mean(1)
    return (means - targets).square().sum(1)


class _Matching:
    """What an iteration changes, and how."""

    def __init__(
        self,
        learned: Pixels,
        batches: RealBatches,
        real: LabelledPictures,
        network: dict,
        matching: DistributionMatching,
        ipc: int,
        seed: int,
        device: torch.device,
    ):
        self.learned, self.batches, self.real, self.network, self.matching = learned, batches, real, network, matching
        self.ipc, self.seed, self.device = ipc, seed, device
        self.remedy = f"lower lr ({matching.lr})"
        self.meter = LossMeter(f"distribution matching, IPC {ipc}", self.remedy)

    def step(self, k: int) -> None:
        """Iteration ``k``: all classes through one network at once, in one step."""
        matching, size = self.matching, self.real.size
        classes, found = range(len(self.real.classes)), []
        net = unit_network(self.network, self.real, derive_seed(self.seed, "network", k), self.device)
        theirs = [self.batches.of_class(label, matching.real_batch, k) for label in classes]
        draws = [draw_dsa(generator_for(self.seed, "siamese", k, label), size) for label in classes if matching.augment]
        if matching.augment:
            theirs = [draw(pictures) for draw, pictures in zip(draws, theirs, strict=True)]
        targets = class_means(net, theirs)

        def derive(units: Tensor) -> Tensor:
            leaf = units.detach().requires_grad_()
            seen = leaf
            if matching.augment:
                seen = torch.cat([draw(ours) for draw, ours in zip(draws, leaf.split(self.ipc), strict=True)])
            values = distances(net, seen, targets)
            found.append(values.detach().mean())
            return torch.autograd.grad(values.sum(), leaf)[0]

        self.learned.step(derive)
        self.meter.add({"distance": found[0]}, k, tenth_ended(k, matching.iterations))

    def state(self) -> dict:
        return {"learned": self.learned.state(), "losses": self.meter.state()}

    def restore(self, saved: dict) -> None:
        self.learned.restore(saved["learned"])
        self.meter.restore(saved["losses"], self.device)
