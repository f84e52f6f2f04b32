"""Experts: networks trained on all pictures, whose weights after every epoch are kept. What trajectories are matched with.

(Cazenavette et al., CVPR 2022, section 3; GeorgeCazenavette/mtt-distillation, buffer.py.) Every expert depends on its own seed
alone, so that many can be trained at the same time by as many workers.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.files import UNREADABLE, read_tensors, write_tensors
from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import Units, unit_network, units_of
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.seeds import derive_seed, generator_for
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import Diverged
from srdistill.training.resumable import resumable

_KIND = "trajectory"
# Where a gradient vanishes it has no direction.
_TINY = 1e-12


class ExpertError(ValueError):
    """Experts that cannot be matched: none, too short, of another network or data, damaged. The message says what to do."""


@dataclass(frozen=True)
class ExpertRecipe:
    """How an expert is trained; the defaults are published for MTT (15 epochs in GLaD, 100 in DATM).

    SGD at ``lr`` with ``momentum``, without decay, in batches of ``batch``. ``augment``: one operation per batch, parameters
    per picture. ``kept``: weights are kept of the start and of so many first epochs, and always of the last; None: of all.
    ``zca``: pictures are whitened (MTT: of CIFAR-10 for 1 and 10 pictures per class; DATM: always).

    ``rho`` above 0: flat trajectories, as DATM's (Du et al., CVPR 2023; AngusDujw/FTD-distillation, buffer/gsam): the gradient
    g is asked again where w has moved uphill, by rho w^2 g / |w g|, and of the answer ``alpha`` times that part of g is taken
    away which is at right angles to it. Published: 0.01, and 0.3 for CIFAR-10, else 1. It doubles the cost.
    """

    epochs: int = 50
    lr: float = 0.01
    momentum: float = 0.0
    batch: int = 256
    augment: bool = True
    kept: int | None = None
    zca: bool = False
    rho: float = 0.0
    alpha: float = 0.0

    def __post_init__(self):
        if min(self.epochs, self.batch) < 1 or (self.kept is not None and not 1 <= self.kept <= self.epochs):
            raise ValueError(
                "experts: epochs and batch must be 1 or more and kept 1 to epochs, got "
                f"{self.epochs}, {self.batch} and {self.kept}"
            )
        if not (0 < self.lr < math.inf and 0 <= self.momentum < 1):
            raise ValueError(f"experts: lr must be above 0 and momentum in [0, 1), got {self.lr} and {self.momentum}")
        if not (0 <= self.rho < math.inf and 0 <= self.alpha < math.inf):
            raise ValueError(f"experts: rho and alpha must be finite and not negative, got {self.rho} and {self.alpha}")


@dataclass(frozen=True)
class Expert:
    """``snapshots``: float32 (T + 1, P), all weights as one vector, before the first epoch and after each of T; ``last``: (P,),
    after the last epoch of all. ``about``: the network, its classes, size and units, JSON values. ``history``: ``loss`` and
    ``accuracy`` in percent, means of each epoch on the augmented pictures, before each step.
    """

    snapshots: Tensor
    last: Tensor
    about: dict
    history: dict[str, list[float]] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs that are kept."""
        return len(self.snapshots) - 1

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        tensors = {"snapshots": self.snapshots.contiguous(), "last": self.last.clone()}
        write_tensors(path, _KIND, tensors, {"about": self.about, "history": self.history})

    @classmethod
    def load(cls, path: str | Path) -> "Expert":
        """Read what ``save`` wrote. Raises ExpertError if the file is damaged or something else."""
        try:
            tensors, found = read_tensors(path, _KIND)
            return cls(tensors["snapshots"], tensors["last"], found["about"], found["history"])
        except UNREADABLE as error:
            raise ExpertError(f"{path}: not an expert, or damaged ({error}); train it again") from error


def expert_about(real: LabelledPictures, network: dict, units: Units) -> dict:
    """What an expert's weights mean something with, as JSON values."""
    about = {"network": dict(network), "classes": list(real.classes), "size": real.size, "units": units.about()}
    return json.loads(json.dumps(about))  # as it comes back from a file


def train_expert(
    real: LabelledPictures,
    *,
    generator: torch.Generator,
    network: dict,
    recipe: ExpertRecipe = ExpertRecipe(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "training an expert",
) -> Expert:
    """Train a fresh network on ``real`` and keep its weights after every epoch.

    Args:
        generator: only its ``initial_seed()`` counts; weights, order and augmentation depend on it.
        network: settings of ``build_classifier``, without BatchNorm; published: ConvNet, width 128, instance norm.
        checkpoint: saved after epochs. Resumed, the result is the same bit for bit.

    Raises:
        Diverged: the loss or a weight became NaN, as in deep networks without norm. SelectionError: a class without pictures.
        ValueError: a network with BatchNorm.
    """
    device, seed = torch.device(device), generator.initial_seed()
    units = units_of(real, recipe.zca, device)
    net = FlatNetwork(unit_network(network, real, derive_seed(seed, "expert"), device))
    run = _Training(net, RealBatches(real, units, seed, device), recipe, seed, label)
    for epoch in resumable(recipe.epochs, label, checkpoint, run.state, run.restore):
        run.epoch(epoch)
    return Expert(torch.stack(run.kept), run.weights.cpu(), expert_about(real, network, units), run.history)


class _Training:
    """What the epochs of one expert change, and how."""

    def __init__(self, net: FlatNetwork, batches: RealBatches, recipe: ExpertRecipe, seed: int, label: str):
        self.net, self.batches, self.recipe, self.seed, self.label = net, batches, recipe, seed, label
        self.weights = net.weights
        self.velocity = torch.zeros_like(self.weights)
        self.kept = [self.weights.cpu()]
        self.history: dict[str, list[float]] = {"loss": [], "accuracy": []}

    def epoch(self, epoch: int) -> None:
        """All pictures once."""
        recipe, labels = self.recipe, self.batches.labels.to(self.weights.device)
        draws, losses, right = generator_for(self.seed, "expert epoch", epoch), [], []
        for index in torch.randperm(len(labels), generator=draws).split(recipe.batch):
            pictures, wanted = self.batches.at(index), labels[index.to(labels.device)]
            if recipe.augment:
                pictures = draw_dsa(draws, pictures.shape[-1], len(index))(pictures)
            gradient, loss, logits = self._gradient(self.weights, pictures, wanted)
            if recipe.rho:
                gradient = self._flat_gradient(gradient, pictures, wanted)
            self.velocity = recipe.momentum * self.velocity + gradient
            self.weights = self.weights - recipe.lr * self.velocity
            losses.append(loss * len(index))
            right.append((logits.argmax(1) == wanted).sum())
        mean = torch.stack(losses).sum().item() / len(labels)
        if not (math.isfinite(mean) and bool(torch.isfinite(self.weights).all())):
            raise Diverged(
                f"{self.label}: the loss became {mean} or the weights NaN in epoch {epoch + 1}; lower lr ({recipe.lr}) or use "
                "a network with norm"
            )
        self.history["loss"].append(mean)
        self.history["accuracy"].append(100.0 * torch.stack(right).sum().item() / len(labels))
        if recipe.kept is None or epoch < recipe.kept:
            self.kept.append(self.weights.cpu())

    def _gradient(self, weights: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With the loss and the logits."""
        leaf = weights.detach().requires_grad_()
        logits = self.net(leaf, pictures)
        loss = F.cross_entropy(logits, labels)
        return torch.autograd.grad(loss, leaf)[0], loss.detach(), logits.detach()

    def _flat_gradient(self, gradient: Tensor, pictures: Tensor, labels: Tensor) -> Tensor:
        """Of ``gradient`` at the weights of now: what flat trajectories follow instead."""
        weights = self.weights
        uphill = self.recipe.rho * weights.square() * gradient / ((weights * gradient).norm() + _TINY)
        there, _, _ = self._gradient(weights + uphill, pictures, labels)
        along = (gradient @ there) / (there @ there + _TINY) * there
        return there - self.recipe.alpha * (gradient - along)

    def state(self) -> dict:
        return {
            "weights": self.weights, "velocity": self.velocity, "kept": torch.stack(self.kept), "history": self.history,
        }  # fmt: skip

    def restore(self, saved: dict) -> None:
        device = self.weights.device
        self.weights, self.velocity = saved["weights"].to(device), saved["velocity"].to(device)
        self.kept, self.history = list(saved["kept"]), saved["history"]


def check_experts(experts: Sequence[Expert], about: dict, parameters: int, epochs: int) -> None:
    """Raise ExpertError unless there are experts, each of ``epochs`` or more, finite, and with the same ``about``."""
    if not experts:
        raise ExpertError("too few experts: none; train one or more with train_expert")
    for number, expert in enumerate(experts):
        for name, wanted in about.items():
            if expert.about.get(name) != wanted:
                what = "was trained in other units: with other pictures, or with whitening" if name == "units" else (
                    f"is of another {name}: {expert.about.get(name)}, not {wanted}"
                )  # fmt: skip
                raise ExpertError(f"expert {number} {what}; train experts with the same settings as students")
        if expert.snapshots.shape[1] != parameters:
            found = expert.snapshots.shape[1]
            raise ExpertError(f"expert {number} has {found} weights, the network {parameters}; train it again")
        if expert.epochs < epochs:
            raise ExpertError(
                f"expert {number} keeps {expert.epochs} epochs, {epochs} are needed for the latest start and the epochs ahead "
                "of it; train longer, keep more, or start earlier"
            )
        if not bool(torch.isfinite(expert.snapshots).all() & torch.isfinite(expert.last).all()):
            raise ExpertError(f"expert {number} holds NaN or infinity; train it again at a lower rate")
