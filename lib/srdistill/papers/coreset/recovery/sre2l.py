"""SRe2L's recovery (Yin et al., NeurIPS 2023): pictures whose class the teacher sees, and whose statistics its layers know.

The baseline of the coreset paper's tables 1 and 2; its soft labels come from ``PlainSource`` as everyone's do.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.resized_crops import draw_boxes
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.recovery.recovering import Recovering
from srdistill.priors.rendering import frozen
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc
from srdistill.training.augmentation import RATIO
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.resumable import resumable
from srdistill.training.teacher_logits import TeacherError, ask_teacher


@dataclass(frozen=True)
class Recovery:
    """How pictures are recovered; the defaults are those of VILA-Lab/SRe2L (SRe2L/recover).

    ``iterations``: steps for each batch of pictures. ``lr``: of Adam (betas 0.5 and 0.9), falling to zero as a cosine.
    ``statistics``: weight of the distance of the batch's means and variances from each BatchNorm layer's own.
    ``first_layer``: weight of the first BatchNorm layer among the others. ``lowest``: share of the area that a crop has at
    least. ``batch``: pictures at a time, one of each class as far as they go: the statistics are those of such a batch.
    """

    iterations: int = 4000
    lr: float = 0.25
    statistics: float = 0.01
    first_layer: float = 10.0
    lowest: float = 0.08
    batch: int = 100

    def __post_init__(self):
        if min(self.iterations, self.batch) < 1:
            raise ValueError(f"iterations and batch must be 1 or more, got {self.iterations} and {self.batch}")
        if not (0 < self.lr < math.inf and 0 <= self.statistics < math.inf and 0 <= self.first_layer < math.inf):
            raise ValueError(
                "lr must be above 0, statistics and first_layer 0 or more, got "
                f"{self.lr}, {self.statistics} and {self.first_layer}"
            )
        if not 0 < self.lowest <= 1:
            raise ValueError(f"lowest is a share of the area, in (0, 1], got {self.lowest}")


def sre2l(
    real: LabelledPictures,
    *,
    teacher: Classifier,
    ipc: int,
    generator: torch.Generator,
    recovery: Recovery = Recovery(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures for each class, of S px as those of ``real``, recovered from a teacher with BatchNorm.

    Of ``real`` only size and classes count, which must be the teacher's, in its order: no real picture is looked at.

    Pictures start as noise of the teacher's mean and spread, in units of which they are moved; in every step the teacher sees
    one random resized crop and flip of the batch. The loss is its cross entropy plus the weighted distance of the batch's
    statistics from those that its layers know. Pictures are clipped to the valid range after every step.

    Args:
        teacher: from float images in [0, 1] to logits (N, classes), normalising inside by its ``mean`` and ``std``; never
            changed.

    History, means over a tenth of the steps of a batch, 50 at most, of all batches in turn: ``loss``, ``cross_entropy``, and
    ``statistics``, without its weight. Resumed from ``checkpoint``, the result is the same bit for bit.

    Raises:
        TeacherError: a teacher without BatchNorm, or of other classes. Diverged: a loss became NaN or infinite.
        ValueError: no ``ipc``.
    """
    check_ipc(ipc)
    layers = _statistics_layers(teacher)
    count = len(real.classes)
    labels = torch.arange(count).repeat(ipc)  # of the pictures as they are made: one of each class after another
    groups = [part for once in labels.split(count) for part in once.split(recovery.batch)]
    label = f"recovering {len(labels)} pictures"
    with frozen(teacher), _watched(layers) as distances:
        run = _Recovering(teacher, groups, real, recovery, generator.initial_seed(), torch.device(device), ipc, distances)
        for step in resumable(run.steps, label, checkpoint, run.state, run.restore):
            run.step(step)
    order = labels.argsort(stable=True)
    return DistilledSet(
        torch.cat(run.images)[order],
        labels[order],
        tuple(real.classes),
        "sre2l",
        {"ipc": ipc, "size": real.size, **asdict(recovery), "layers": len(layers)},
        run.meter.history,
    )


def _statistics_layers(teacher: nn.Module) -> list[nn.BatchNorm2d]:
    layers = [module for module in teacher.modules() if isinstance(module, nn.BatchNorm2d) and module.track_running_stats]
    if not layers:
        raise TeacherError(
            f"the teacher ({type(teacher).__name__}) has no BatchNorm2d layer with running statistics, which is what SRe2L "
            "recovers pictures from; use a teacher with BatchNorm"
        )
    return layers


class _Recovering(Recovering):
    """``distances``: see ``_watched``."""

    def __init__(
        self,
        teacher: Classifier,
        groups: list[Tensor],
        real: LabelledPictures,
        recovery: Recovery,
        seed: int,
        device: torch.device,
        ipc: int,
        distances: list[Tensor],
    ):
        super().__init__(
            "SRe2L", groups, units=teacher.to(device), size=real.size, iterations=recovery.iterations, lr=recovery.lr,
            seed=seed, device=device, ipc=ipc,
        )  # fmt: skip
        self.teacher, self.recovery, self.classes, self.distances = teacher, recovery, len(real.classes), distances

    def losses(self, number: int, index: int) -> dict[str, Tensor]:
        recovery, distances = self.recovery, self.distances
        draws = generator_for(self.seed, "SRe2L view", number, index)
        seen = _view(self.pixels, self.size, recovery.lowest, draws)
        distances.clear()
        logits = ask_teacher(self.teacher, seen * self.spread + self.center, self.classes)
        losses = {
            "cross_entropy": F.cross_entropy(logits, self.groups[number].to(self.device)),
            "statistics": recovery.first_layer * distances[0] + sum(distances[1:]),
        }
        return {"loss": losses["cross_entropy"] + recovery.statistics * losses["statistics"]} | losses


def _view(pixels: Tensor, size: int, lowest: float, draws: torch.Generator) -> Tensor:
    """One random resized crop and flip of the whole batch, as published."""
    ((top, left, height, width),) = draw_boxes(1, size, draws, scale=(lowest, 1.0), ratio=RATIO).tolist()
    crop = pixels[..., top : top + height, left : left + width]
    view = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)
    return view.flip(-1) if float(torch.rand((), generator=draws)) < 0.5 else view


@contextmanager
def _watched(layers: list[nn.BatchNorm2d]) -> Iterator[list[Tensor]]:
    """A list that takes, whenever a layer runs, how far what comes in is from the layer's statistics: lengths of the
    differences of mean and of (biased) variance."""
    distances: list[Tensor] = []

    def watch(layer: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        distances.append((variance - layer.running_var).norm() + (mean - layer.running_mean).norm())

    handles = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        yield distances
    finally:
        for handle in handles:
            handle.remove()
