"""G-VBSM's recovery (Shao et al., CVPR 2024): SRe2L's, with several networks, what their convolutions know, and pictures of
one class that differ.

A baseline of the coreset paper's tables 1 and 2. Behaviour follows shaoshitong/G_VBSM_Dataset_Condensation (Branch_CIFAR_10,
recover; protocol notes, section 7). Its students learn from ``relabelled_source``.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.labelled import LabelledPictures
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.recovery.conv_statistics import channel_moments, conv_moments, conv_statistics
from srdistill.papers.coreset.recovery.densification import densification
from srdistill.papers.coreset.recovery.recovering import Recovering
from srdistill.priors.rendering import frozen
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.ensemble import check_alike
from srdistill.training.loop import Diverged
from srdistill.training.resumable import resumable
from srdistill.training.teacher_logits import TeacherError, ask_teacher


@dataclass(frozen=True)
class GeneralRecovery:
    """How pictures are recovered; the defaults are those that the authors' scripts have for CIFAR-10.

    ``iterations``: steps for each batch of pictures. ``lr``: of Adam (betas 0.5 and 0.9), falling to zero as a cosine.
    ``statistics``: weight of the distances of a batch's moments from those that layers know; ``first_layer``: of the first
    layer among the others. ``dropped``: probability that a convolution's distance is left out of a step. ``average``: share of
    the old value in the moving average of moments. ``densification``: weight of that loss; ``temperature``: its tau.
    ``padding``: by how much a view is moved at most, as a share of the side: 4 of 32 px, 8 of 64 px. ``roll``: by how many px
    it is rolled at most. ``batch``: pictures at a time, class after class. ``counted``: real pictures at a time where the
    statistics of convolutions are taken.
    """

    iterations: int = 4000
    lr: float = 0.05
    statistics: float = 0.01
    first_layer: float = 10.0
    dropped: float = 0.4
    average: float = 0.8
    densification: float = 1.0
    temperature: float = 4.0
    padding: float = 0.125
    roll: int = 32
    batch: int = 100
    counted: int = 64

    def __post_init__(self):
        if min(self.iterations, self.batch, self.counted) < 1 or self.roll < 0:
            raise ValueError(
                "iterations, batch and counted must be 1 or more and roll 0 or more, got "
                f"{self.iterations}, {self.batch}, {self.counted} and {self.roll}"
            )
        if not all(0 < value < math.inf for value in (self.lr, self.temperature)):
            raise ValueError(f"lr and temperature must be above 0, got {self.lr} and {self.temperature}")
        weights = (self.statistics, self.first_layer, self.densification)
        if not all(0 <= value < math.inf for value in weights):
            raise ValueError(f"statistics, first_layer and densification must be 0 or more, got {weights}")
        shares = (self.dropped, self.average, self.padding)
        if not all(0 <= value < 1 for value in shares):
            raise ValueError(f"dropped, average and padding are shares, from 0 to below 1, got {shares}")


def gvbsm(
    real: LabelledPictures,
    *,
    backbones: Sequence[Classifier],
    ipc: int,
    generator: torch.Generator,
    recovery: GeneralRecovery = GeneralRecovery(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures for each class, of S px as those of ``real``, recovered from several networks, which take turns.

    Every step asks one network, the next one in turn, about one view of the batch: moved, flipped and rolled, all pictures
    alike. The loss is its cross entropy, the weighted distances of the batch's moments from what its layers know, and the
    densification of the view. Layers with BatchNorm know their running statistics, convolutions what ``conv_statistics`` finds
    on the real pictures, which is all that these are looked at for. The first layer is the network's first module of the two
    kinds.

    A batch's moments enter as a moving average, with the gradient of the new ones as if they were all of it. As published, it
    starts at 0, so that in the first steps means and variances count as too small, and is never set back between batches of
    pictures; a layer's average stands still while its network has no turn or it is dropped.

    Args:
        backbones: of these classes and this size; never changed, but put on ``device``. The first one's ``mean`` and ``std``
            are the units in which pictures are moved; each normalises by its own.
        generator: only its ``initial_seed()`` counts.

    History, means over a tenth of the steps of a batch, 50 at most, of all batches in turn: ``loss``, ``cross_entropy``, and
    ``statistics`` and ``densification``, without their weights. Resumed from ``checkpoint``, the result is the same bit for
    bit.

    Raises:
        TeacherError: no backbones, one of other classes or another size, one without a layer that knows anything, or one that
        gives NaN. Diverged: a loss became NaN or infinite. ValueError: no ``ipc``.
    """
    check_ipc(ipc)
    _check_backbones(backbones, real)
    seed, device = generator.initial_seed(), torch.device(device)
    labels = torch.arange(len(real.classes)).repeat_interleave(ipc)
    layers = [_layers(backbone, number, real, recovery, seed, device) for number, backbone in enumerate(backbones)]
    with ExitStack() as stack:
        for backbone in backbones:
            stack.enter_context(frozen(backbone))
        distances = stack.enter_context(_watched([layer for known in layers for layer in known]))
        run = _Recovering(backbones, layers, distances, labels.split(recovery.batch), real, recovery, seed, device, ipc)
        label = f"recovering {len(labels)} pictures from {len(backbones)} networks"
        for step in resumable(run.steps, label, checkpoint, run.state, run.restore):
            run.step(step)
    about = {"backbones": [backbone.architecture for backbone in backbones], "layers": [len(known) for known in layers]}
    return DistilledSet(
        torch.cat(run.images),
        labels,
        tuple(real.classes),
        "gvbsm",
        {"ipc": ipc, "size": real.size, **asdict(recovery), **about},
        run.meter.history,
    )


def _check_backbones(backbones: Sequence[Classifier], real: LabelledPictures) -> None:
    check_alike(backbones)
    classes, size, name = backbones[0].classes, backbones[0].size, real.name or "the pictures"
    if classes != real.classes:
        raise TeacherError(f"the backbones know other classes than {name}, or in another order; train them on these classes")
    if size != real.size:
        raise TeacherError(f"the backbones take pictures of {size} px, {name} has {real.size} px; train them on that size")


class _Layer:
    """What is known of a layer's input, and the moving average of what the batches in the making show it.

    ``moments``: from features to as many tensors as are ``known``. ``weight``: of its distance. ``dropped``: left out now.
    """

    def __init__(self, module: nn.Module, known: Sequence[Tensor], moments: Callable, weight: float, keep: float):
        self.module, self.known, self.moments, self.weight, self.keep = module, known, moments, weight, keep
        self.average = [torch.zeros_like(one) for one in known]
        self.dropped = False

    def distance(self, features: Tensor) -> Tensor:
        """The sum of the lengths of the differences between ``known`` and the average, which takes these features in."""
        new = self.moments(features)
        keep, pairs = self.keep, zip(self.average, new, strict=True)
        self.average = [keep * old + (1 - keep) * one.detach() for old, one in pairs]
        shown = [old + (one - one.detach()) for old, one in zip(self.average, new, strict=True)]
        return sum((known - one).norm() for known, one in zip(self.known, shown, strict=True))


def _layers(
    backbone: Classifier, number: int, real: LabelledPictures, recovery: GeneralRecovery, seed: int, device: torch.device
) -> list[_Layer]:
    padding, draws = round(recovery.padding * real.size), generator_for(seed, "G-VBSM statistics", number)
    known = conv_statistics(backbone, real, generator=draws, padding=padding, batch=recovery.counted, device=device)
    found = []
    for name, module in backbone.named_modules():
        weight = 1.0 if found else recovery.first_layer
        if name in known:
            found.append(_Layer(module, known[name], conv_moments, weight, recovery.average))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            running = module.running_mean, module.running_var
            found.append(_Layer(module, running, channel_moments, weight, recovery.average))
    if not found:
        raise TeacherError(
            f"backbone {number} ({backbone.architecture}) has neither convolutions nor BatchNorm with running statistics, "
            "which is what G-VBSM recovers pictures from; leave it out"
        )
    return found


class _Recovering(Recovering):
    """``layers``: by backbone. ``distances``: see ``_watched``."""

    def __init__(
        self,
        backbones: Sequence[Classifier],
        layers: list[list[_Layer]],
        distances: list[Tensor],
        groups: Sequence[Tensor],
        real: LabelledPictures,
        recovery: GeneralRecovery,
        seed: int,
        device: torch.device,
        ipc: int,
    ):
        super().__init__(
            "G-VBSM", list(groups), units=backbones[0], size=real.size, iterations=recovery.iterations, lr=recovery.lr,
            seed=seed, device=device, ipc=ipc,
        )  # fmt: skip
        self.backbones, self.layers, self.distances, self.recovery = backbones, layers, distances, recovery
        self.classes, self.padding = len(real.classes), round(recovery.padding * real.size)

    def losses(self, number: int, index: int) -> dict[str, Tensor]:
        recovery, labels = self.recovery, self.groups[number].to(self.device)
        turn = (number * self.iterations + index) % len(self.backbones)
        self._drop(turn, generator_for(self.seed, "G-VBSM dropped", number, index))
        seen = _view(self.pixels, self.padding, recovery.roll, generator_for(self.seed, "G-VBSM view", number, index))
        self.distances.clear()
        logits = ask_teacher(self.backbones[turn], seen * self.spread + self.center, self.classes)
        losses = {
            "cross_entropy": F.cross_entropy(logits, labels),
            "statistics": sum(self.distances, start=logits.new_zeros(())),
            "densification": self._densification(seen, labels),
        }
        loss = losses["cross_entropy"] + recovery.statistics * losses["statistics"]
        return {"loss": loss + recovery.densification * losses["densification"]} | losses

    def _densification(self, seen: Tensor, labels: Tensor) -> Tensor:
        try:
            return densification(seen, labels, self.recovery.temperature)
        except torch.linalg.LinAlgError as error:
            raise Diverged(f"{self.name}: pictures in the making became NaN; lower lr ({self.lr})") from error

    def _drop(self, turn: int, draws: torch.Generator) -> None:
        convolutions = [layer for layer in self.layers[turn] if isinstance(layer.module, nn.Conv2d)]
        chances = torch.rand(len(convolutions), generator=draws).tolist()
        for layer, chance in zip(convolutions, chances, strict=True):
            layer.dropped = chance < self.recovery.dropped

    def state(self) -> dict:
        return super().state() | {"averages": [[layer.average for layer in known] for known in self.layers]}

    def restore(self, state: dict) -> None:
        super().restore(state)
        for known, averages in zip(self.layers, state["averages"], strict=True):
            for layer, average in zip(known, averages, strict=True):
                layer.average = [one.to(self.device) for one in average]


def _view(pixels: Tensor, padding: int, roll: int, draws: torch.Generator) -> Tensor:
    """The whole batch moved by up to ``padding`` px, the mean colour coming in, flipped, and rolled by up to ``roll`` px."""
    size = pixels.shape[-1]
    top, left = torch.randint(2 * padding + 1, (2,), generator=draws).tolist()
    view = F.pad(pixels, (padding,) * 4)[..., top : top + size, left : left + size]
    view = view.flip(-1) if float(torch.rand((), generator=draws)) < 0.5 else view
    return view.roll(torch.randint(roll + 1, (2,), generator=draws).tolist(), (-2, -1))


@contextmanager
def _watched(layers: Sequence[_Layer]) -> Iterator[list[Tensor]]:
    """A list that takes the weighted distance of a layer whenever it runs and is not dropped."""
    distances: list[Tensor] = []

    def watch(layer: _Layer, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not layer.dropped:
            distances.append(layer.weight * layer.distance(inputs[0]))

    handles = [layer.module.register_forward_pre_hook(partial(watch, layer)) for layer in layers]
    try:
        yield distances
    finally:
        for handle in handles:
            handle.remove()
