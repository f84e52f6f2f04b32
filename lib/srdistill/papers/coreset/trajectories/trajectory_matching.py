"""Trajectory matching: a student that starts where an expert was, and makes N steps on the synthetic pictures, is to arrive
where the expert was M epochs later.

MTT (Cazenavette et al., CVPR 2022), TESLA (Cui et al., ICML 2023; ``unrolled="truncated"``) and DATM (Guo et al., ICLR 2024:
learned label logits, a window of start epochs that grows, updates that are skipped) are settings of one method; with codes in
place of pixels and TESLA's gradient it is GLaD's. Protocol notes: GeorgeCazenavette/mtt-distillation, distill.py, and
NUS-HPC-AI-Lab/DATM, distill/DATM.py.

The step size is learned with the pictures. Nothing in the published codes keeps it positive, and it does turn negative; here it
never falls below ``lowest_step``, and how often that held it is part of the result.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.papers.coreset.matching.learned import Pixels, begin, check_learned, learned_set, tenth_ended
from srdistill.papers.coreset.matching.real_batches import RealBatches
from srdistill.papers.coreset.matching.units import unit_network, units_of
from srdistill.papers.coreset.trajectories.expert_labels import agreed_start, label_logits
from srdistill.papers.coreset.trajectories.experts import Expert, ExpertError, check_experts, expert_about
from srdistill.papers.coreset.trajectories.flat_network import FlatNetwork
from srdistill.papers.coreset.trajectories.trajectory_gradient import (
    StudentRun,
    StudentStep,
    TrajectoryGradient,
    check_unrolled,
)
from srdistill.priors.prior import Prior
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.dsa import draw_dsa
from srdistill.training.loop import Diverged, LossMeter
from srdistill.training.resumable import resumable

# Of the learned labels, in DATM's code.
_LABEL_MOMENTUM = 0.9
AGREED = "agreed"


@dataclass(frozen=True)
class TrajectoryMatching:
    """Settings of ``trajectory_matching``; the defaults are published for MTT, one picture per class of CIFAR-10.

    ``steps``, ``span``: N steps of the student, M epochs of the expert. ``batch``: pictures of a step, by random permutations
    of the set; None: all. ``augment``: one operation per step, parameters per picture.

    Starts: an expert's epoch t, uniform in ``start_from`` <= t < ``start_below``. With ``grow_from`` (DATM) the upper end grows
    linearly from that to ``start_below`` over the first ``grow_over`` iterations.

    ``lr``, ``momentum``: of SGD on the pictures in units, or on codes (GLaD: 10,000). Rates are large because the loss is
    divided by a distance of all weights. ``step_size``: where the students' own rate begins; ``lr_step``: the rate at which it
    is learned, with the same momentum; ``lowest_step``: it is put there whenever a step would take it below. ``label_lr``:
    rate of learned label logits, momentum 0.9 (DATM); None: labels are classes. ``threshold``: no update where the loss is
    larger (DATM).

    ``unrolled``: ``exact``, or ``truncated`` as TESLA's and GLaD's codes. ``zca``: pictures are whitened, as those of the
    experts were; students of the result whiten, too (``build_classifier(whitening=...)``).
    """

    iterations: int = 5000
    steps: int = 50
    span: int = 2
    batch: int | None = None
    augment: bool = True
    start_from: int = 0
    start_below: int = 2
    grow_from: int | None = None
    grow_over: int = 0
    lr: float = 100.0
    momentum: float = 0.5
    step_size: float = 0.01
    lr_step: float = 1e-7
    lowest_step: float = 1e-4
    label_lr: float | None = None
    threshold: float | None = None
    unrolled: str = "exact"
    zca: bool = False

    def __post_init__(self):
        check_unrolled(self.unrolled)
        if min(self.iterations, self.steps, self.span, self.batch or 1) < 1 or self.batch == 0:
            raise ValueError(
                "iterations, steps, span and batch must be 1 or more, got "
                f"{self.iterations}, {self.steps}, {self.span} and {self.batch}"
            )
        first = self.start_below if self.grow_from is None else self.grow_from
        if not 0 <= self.start_from < first <= self.start_below or self.grow_over < 0:
            raise ValueError(
                "starts lie in start_from <= t < start_below, with grow_from between the two, got "
                f"{self.start_from}, {self.start_below} and {self.grow_from}, over {self.grow_over} iterations"
            )
        rates = (self.lr, self.lr_step, 0.0 if self.label_lr is None else self.label_lr)
        if not all(0 <= rate < math.inf for rate in rates) or not 0 <= self.momentum < 1:
            raise ValueError(f"rates must be finite and not negative and momentum in [0, 1), got {rates} and {self.momentum}")
        if not 0 < self.lowest_step <= self.step_size < math.inf:
            raise ValueError(
                f"step_size must be positive and not below lowest_step, got {self.step_size} and {self.lowest_step}; a "
                "negative step size leads students away from what they learn"
            )
        if self.threshold is not None and not self.threshold > 0:
            raise ValueError(f"threshold must be above 0 (or None), got {self.threshold}")

    def starts(self, k: int) -> tuple[int, int]:
        """First epoch, and one past the last, that students of iteration ``k`` may start from."""
        if self.grow_from is None:
            return self.start_from, self.start_below
        share = min(1.0, k / self.grow_over) if self.grow_over else 1.0
        return self.start_from, self.grow_from + int((self.start_below - self.grow_from) * share)


def trajectory_matching(
    real: LabelledPictures,
    *,
    ipc: int,
    generator: torch.Generator,
    network: dict,
    experts: Sequence[Expert],
    matching: TrajectoryMatching = TrajectoryMatching(),
    start: str | DistilledSet = "real",
    prior: Prior | None = None,
    chunk: int = 10,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures of every class, as learned floats (N, 3, S, S), a step size, and label logits if they are learned.

    Args:
        network: settings of ``build_classifier`` that the experts were trained with.
        experts: what ``train_expert`` returned for the same pictures; drawn in turn, in random order.
        start: ``real``, ``noise``, a set (see ``learned.begin``), or ``agreed``: real pictures that the first expert's last
            weights name right (DATM).
        prior: moves codes of this generator instead of pixels, ``chunk`` of which are decoded at a time; never changed.

    History, means over a tenth of the iterations, 50 at most: ``loss``, squared distance from where the expert went
    over that which it went; and ``step_size``. Settings of the set: ``skipped`` iterations, and ``held``, those in which the
    step size came to ``lowest_step``. Resumed from ``checkpoint``, the result is the same bit for bit.

    Raises:
        ExpertError: too few experts, too few of their epochs, of another network or other pictures, with NaN, or one that did
        not move. Diverged: the loss or a picture became NaN. SelectionError: a class has too few
        pictures. ValueError: impossible settings. SetError, PriorError: see ``learned.begin``.
    """
    check_ipc(ipc)
    device, seed = torch.device(device), generator.initial_seed()
    units = units_of(real, matching.zca, device)
    net = FlatNetwork(unit_network(network, real, 0, device))
    check_experts(experts, expert_about(real, network, units), len(net), matching.start_below - 1 + matching.span)
    started = start
    if start == AGREED:
        started = agreed_start(real, RealBatches(real, units, seed, device), net, experts[0], ipc=ipc, seed=seed)
    learned = begin(
        real, ipc=ipc, start=started, units=units, lr=matching.lr, momentum=matching.momentum, generator=generator,
        device=device, prior=prior, chunk=chunk,
    )  # fmt: skip
    run = _Run(learned, net, experts, len(real.classes), ipc, matching, seed)
    label = f"matching trajectories, IPC {ipc}"
    for k in resumable(matching.iterations, label, checkpoint, run.state, run.restore):
        run.step(k)
    check_learned(learned, "trajectory matching", run.remedy)
    settings = {
        "start": start if isinstance(start, str) else start.method, "network": network, "experts": len(experts),
        **asdict(matching), "skipped": run.skipped, "held": run.held,
    }  # fmt: skip
    return learned_set(
        learned, real, "trajectory_matching", ipc, settings, run.meter.history,
        logits=run.labels.logits, step_size=float(run.step_size),
    )  # fmt: skip


class _Run:
    """What an iteration changes, and how."""

    def __init__(
        self,
        learned: Pixels,
        net: FlatNetwork,
        experts: Sequence[Expert],
        classes: int,
        ipc: int,
        matching: TrajectoryMatching,
        seed: int,
    ):
        self.learned, self.net, self.experts, self.matching, self.seed = learned, net, experts, matching, seed
        self.device = learned.values.device
        labels = torch.arange(classes, device=self.device).repeat_interleave(ipc)
        logits = None if matching.label_lr is None else label_logits(net, experts, learned.units(), labels)
        self.labels = _Labels(labels, logits, matching.label_lr)
        self.step_size = torch.tensor(matching.step_size, device=self.device)
        self.optimizer = torch.optim.SGD([self.step_size], lr=matching.lr_step, momentum=matching.momentum)
        self.skipped = self.held = 0
        self.remedy = f"lower lr ({matching.lr}), lr_step ({matching.lr_step}) or step_size ({matching.step_size})"
        self.meter = LossMeter("trajectory matching", self.remedy)

    def step(self, k: int) -> None:
        """Iteration ``k``: one student, one step of pictures, labels and step size."""
        begin, target = self._stretch(k)
        found: list[TrajectoryGradient] = []
        losses: list[Tensor] = []

        def derive(units: Tensor) -> Tensor | None:
            steps = list(self._steps(k, len(units), units.shape[-1]))
            run = StudentRun(self.net, begin, target, units, self.labels.values, self.step_size, steps)
            losses.append(run.loss)
            value = float(run.loss)
            if not math.isfinite(value):
                raise Diverged(f"trajectory matching: the loss became {value} in iteration {k}; {self.remedy}")
            if self.matching.threshold is not None and value > self.matching.threshold:
                return None
            found.append(run.gradient(self.matching.unrolled))
            return found[0].pictures

        before = self.step_size.clone()
        self.learned.step(derive)
        if found:
            self.labels.step(found[0].labels)
            self._step_size(found[0].step_size)
        else:
            self.skipped += 1
        self.meter.add({"loss": losses[0], "step_size": before}, k, tenth_ended(k, self.matching.iterations))

    def _step_size(self, gradient: Tensor) -> None:
        self.step_size.grad = gradient
        self.optimizer.step()
        if float(self.step_size) < self.matching.lowest_step:
            self.step_size.fill_(self.matching.lowest_step)
            self.held += 1

    def _stretch(self, k: int) -> tuple[Tensor, Tensor]:
        """Of the expert whose turn it is: the weights at a random epoch, and those ``span`` epochs later."""
        turn, place = divmod(k, len(self.experts))
        order = torch.randperm(len(self.experts), generator=generator_for(self.seed, "experts", turn))
        number = int(order[place])
        low, high = self.matching.starts(k)
        epoch = int(torch.randint(low, high, (), generator=generator_for(self.seed, "start epoch", k)))
        begin, target = (self.experts[number].snapshots[at].to(self.device) for at in (epoch, epoch + self.matching.span))
        if torch.equal(begin, target):
            raise ExpertError(
                f"expert {number} has the same weights after {epoch} and {epoch + self.matching.span} epochs: there is no "
                "trajectory to match; train it at a higher rate"
            )
        return begin, target

    def _steps(self, k: int, count: int, size: int) -> Iterator[StudentStep]:
        batch = min(count, self.matching.batch or count)
        order, chunks = generator_for(self.seed, "student order", k), []
        for step in range(self.matching.steps):
            chunks = chunks or list(torch.randperm(count, generator=order).split(batch))
            index = chunks.pop(0)
            augment: Callable[[Tensor], Tensor] = _as_it_is
            if self.matching.augment:
                augment = draw_dsa(generator_for(self.seed, "student", k, step), size, len(index))
            yield StudentStep(index.to(self.device), augment)

    def state(self) -> dict:
        return {
            "learned": self.learned.state(), "labels": self.labels.state(), "step_size": self.step_size,
            "optimizer": self.optimizer.state_dict(), "skipped": self.skipped, "held": self.held, "losses": self.meter.state(),
        }  # fmt: skip

    def restore(self, saved: dict) -> None:
        self.learned.restore(saved["learned"])
        self.labels.restore(saved["labels"])
        self.step_size.copy_(saved["step_size"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.skipped, self.held = saved["skipped"], saved["held"]
        self.meter.restore(saved["losses"], self.device)


def _as_it_is(pictures: Tensor) -> Tensor:
    return pictures


class _Labels:
    """Classes (N,), or logits (N, K) that are learned. ``values``: either, as students are given them."""

    def __init__(self, labels: Tensor, logits: Tensor | None, lr: float | None):
        self.values = labels if logits is None else logits.clone()
        self.optimizer = None if logits is None else torch.optim.SGD([self.values], lr=lr, momentum=_LABEL_MOMENTUM)

    @property
    def logits(self) -> Tensor | None:
        """The learned logits, on the CPU."""
        return self.values.cpu() if self.optimizer else None

    def step(self, gradient: Tensor | None) -> None:
        """One step of the logits, if there are any."""
        if self.optimizer:
            self.values.grad = gradient
            self.optimizer.step()

    def state(self) -> dict:
        return {"values": self.values, "optimizer": self.optimizer.state_dict()} if self.optimizer else {}

    def restore(self, saved: dict) -> None:
        if self.optimizer:
            self.values.copy_(saved["values"])
            self.optimizer.load_state_dict(saved["optimizer"])
