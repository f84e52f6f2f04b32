"""Gradient matching for classification: Dataset Condensation (DC; Zhao et al., ICLR 2021), and with differentiable Siamese
augmentation DSA (Zhao and Bilen, ICML 2021). In the coreset paper's tables 5 and 6 "DC" is DC with that augmentation, and with
codes in place of pixels it is GLaD's.

Every iteration draws a network; of each class the gradients of the loss on real and on synthetic pictures are compared, and the
synthetic pictures are moved. Protocol notes: VICO-UoE/DatasetCondensation, main.py.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.matching.gradient_distance import MatchedWeights, row_distance
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


@dataclass(frozen=True)
class Condensation:
    """Settings of ``dataset_condensation``; the defaults are those of DSA for one picture per class.

    ``lr``, ``momentum``: of SGD on the pictures in units (or on codes; GLaD: 1). ``real_batch``: real pictures of a class at a
    time. ``augment``: one operation and parameters per class and step, the same for real and synthetic pictures, and others in
    the network's training. ``outer``: steps of the pictures for each network, ``inner``: epochs on the synthetic pictures that
    it is trained between two of them, by SGD at ``network_lr`` in batches of ``network_batch``; published for 1, 10 and 50
    pictures per class: 1 and 1, 10 and 50, 50 and 10. With ``outer`` 1 the network is never trained.
    """

    iterations: int = 1000
    lr: float = 0.1
    momentum: float = 0.5
    real_batch: int = 256
    augment: bool = True
    outer: int = 1
    inner: int = 1
    network_lr: float = 0.01
    network_batch: int = 256

    def __post_init__(self):
        counts = (self.iterations, self.real_batch, self.outer, self.inner, self.network_batch)
        if min(counts) < 1:
            raise ValueError(f"iterations, real_batch, outer, inner and network_batch must be 1 or more, got {counts}")
        if not (0 <= self.lr < math.inf and 0 <= self.network_lr < math.inf and 0 <= self.momentum < 1):
            raise ValueError(
                "lr and network_lr must be finite and not negative and momentum in [0, 1), got "
                f"{self.lr}, {self.network_lr} and {self.momentum}"
            )


def dataset_condensation(
    real: LabelledPictures,
    *,
    ipc: int,
    generator: torch.Generator,
    network: dict,
    matching: Condensation = Condensation(),
    start: str | DistilledSet = "real",
    prior: Prior | None = None,
    chunk: int = 10,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures of every class whose gradients match those of the real ones, as learned floats.

    Args:
        network: settings of ``build_classifier``, without BatchNorm; published: ConvNet, width 128, instance norm.
        start: ``real`` (DSA), ``noise`` (DC, and GLaD's pixels), or a set: see ``learned.begin``.
        prior: moves codes of this generator instead of pixels, ``chunk`` of which are decoded at a time; never changed.

    History, means over a tenth of the iterations, 50 at most: ``distance``, mean over classes and steps.
    Resumed from ``checkpoint``, the result is the same bit for bit.

    Raises:
        Diverged: the distance or a picture became NaN. SelectionError: a class has fewer pictures than ``ipc``, or none.
        ValueError: a network with BatchNorm, or unknown ``start``. SetError, PriorError: see ``learned.begin``.
    """
    device, seed = torch.device(device), generator.initial_seed()
    units = channel_units(real).to(device)
    learned = begin(
        real, ipc=ipc, start=start, units=units, lr=matching.lr, momentum=matching.momentum, generator=generator,
        device=device, prior=prior, chunk=chunk,
    )  # fmt: skip
    unit_network(network, real, 0)  # that it can be built is known before any work
    run = _Condensing(learned, RealBatches(real, units, seed, device), real, network, matching, ipc, seed, device)
    label = f"matching gradients of classes, IPC {ipc}"
    for k in resumable(matching.iterations, label, checkpoint, run.state, run.restore):
        run.step(k)
    check_learned(learned, "gradient matching", run.remedy)
    settings = {"start": start if isinstance(start, str) else start.method, "network": network, **asdict(matching)}
    return learned_set(learned, real, "dataset_condensation", ipc, settings, run.meter.history)


class _Condensing:
    """What an iteration changes, and how."""

    def __init__(
        self,
        learned: Pixels,
        batches: RealBatches,
        real: LabelledPictures,
        network: dict,
        matching: Condensation,
        ipc: int,
        seed: int,
        device: torch.device,
    ):
        self.learned, self.batches, self.real, self.network, self.matching = learned, batches, real, network, matching
        self.ipc, self.seed, self.device = ipc, seed, device
        self.labels = torch.arange(len(real.classes), device=device).repeat_interleave(ipc)
        self.remedy = f"lower lr ({matching.lr})"
        self.meter = LossMeter(f"gradient matching, IPC {ipc}", self.remedy)

    def step(self, k: int) -> None:
        """Iteration ``k``: one network."""
        matching, found = self.matching, []
        net = unit_network(self.network, self.real, derive_seed(self.seed, "network", k), self.device)
        weights = MatchedWeights(net)
        for t in range(matching.outer):
            self.learned.step(lambda units, t=t: self._derive(units, weights, k, t, found))
            if t + 1 < matching.outer:
                self._train(weights, k, t)
        self.meter.add({"distance": torch.stack(found).mean()}, k, tenth_ended(k, matching.iterations))

    def _derive(self, units: Tensor, weights: MatchedWeights, k: int, t: int, found: list[Tensor]) -> Tensor:
        """Class by class, as classes do not interact: the graph of one is in memory at a time."""
        gradients = []
        for label, ours in enumerate(units.split(self.ipc)):
            theirs = self.batches.of_class(label, self.matching.real_batch, k, t)
            leaf = ours.detach().requires_grad_()
            seen = leaf
            if self.matching.augment:
                draw = draw_dsa(generator_for(self.seed, "siamese", k, t, label), units.shape[-1])
                theirs, seen = draw(theirs), draw(leaf)
            target = weights.gradients(theirs, self.labels.new_full((len(theirs),), label))
            distance = row_distance(weights.gradients(seen, self.labels.new_full((self.ipc,), label), True), target)
            gradients += torch.autograd.grad(distance, leaf)
            found.append(distance.detach())
        return torch.cat(gradients)

    def _train(self, weights: MatchedWeights, k: int, t: int) -> None:
        """``inner`` epochs of the network on the synthetic pictures of now."""
        matching, units = self.matching, self.learned.units()
        for epoch in range(matching.inner):
            draws = generator_for(self.seed, "inner", k, t, epoch)
            for index in torch.randperm(len(units), generator=draws).split(matching.network_batch):
                pictures, labels = units[index.to(self.device)], self.labels[index.to(self.device)]
                if matching.augment:
                    pictures = draw_dsa(draws, units.shape[-1], len(index))(pictures)
                weights.train(lambda net, x=pictures, y=labels: F.cross_entropy(net(x), y), matching.network_lr)

    def state(self) -> dict:
        return {"learned": self.learned.state(), "losses": self.meter.state()}

    def restore(self, saved: dict) -> None:
        self.learned.restore(saved["learned"])
        self.meter.restore(saved["losses"], self.device)
