"""SRe2L's recovery (Yin et al., NeurIPS 2023): pictures whose class the teacher sees, and whose statistics its layers know.

The baseline of the coreset paper's tables 1 and 2; its soft labels come from ``PlainSource`` as everyone's do.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_uint8
from srdistill.images.resized_crops import draw_boxes
from srdistill.networks.classifiers import IMAGENET_MEAN, IMAGENET_STD
from srdistill.priors.rendering import frozen
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.windows import check_ipc
from srdistill.training.augmentation import RATIO
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged, LossMeter, set_rate
from srdistill.training.teacher_logits import TeacherError, ask_teacher


def sre2l(
    real: LabelledPictures,
    *,
    teacher: nn.Module,
    ipc: int,
    size: int,
    generator: torch.Generator,
    iterations: int = 4000,
    lr: float = 0.25,
    statistics: float = 0.01,
    first_layer: float = 10.0,
    lowest: float = 0.08,
    batch: int = 100,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    spread: tuple[float, float, float] = IMAGENET_STD,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` pictures of ``size`` px for each class, recovered from a teacher with BatchNorm.

    Of ``real`` only the classes count, which must be the teacher's, in its order: no real picture is looked at.

    Adam (betas 0.5 and 0.9, rate ``lr`` falling to zero as a cosine) on pictures that start as noise of the teacher's mean and
    spread; in every step the teacher sees one random resized crop and flip of the batch. The loss is its cross entropy plus
    ``statistics`` times the distance of the batch's means and variances from each BatchNorm layer's own. Pictures are clipped
    to the valid range after every step (VILA-Lab/SRe2L, SRe2L/recover).

    Args:
        teacher: from float images in [0, 1] to logits (N, classes), normalising inside; never changed.
        first_layer: weight of the first BatchNorm layer among the others. lowest: share of the area that a crop has at least.
        batch: pictures at a time, one of each class as far as they go: the statistics are those of such a batch.
        mean, spread: what the teacher normalises with; pictures are moved in units of ``spread``.

    History, means over 50 steps of all batches in turn: ``loss``, ``cross_entropy``, and ``statistics``, without its weight.
    Resumed from ``checkpoint``, the result is the same bit for bit.

    Raises:
        TeacherError: a teacher without BatchNorm, or of other classes. Diverged: a loss became NaN or infinite.
        ValueError: impossible settings.
    """
    check_ipc(ipc)
    if min(size, iterations, batch) < 1:
        raise ValueError(f"size, iterations and batch must be 1 or more, got {size}, {iterations} and {batch}")
    if not (0 < lr < math.inf and 0 <= statistics < math.inf and 0 <= first_layer < math.inf):
        raise ValueError(f"lr must be above 0, statistics and first_layer 0 or more, got {lr}, {statistics} and {first_layer}")
    names = real.classes
    draw_boxes(0, size, torch.Generator(), scale=(lowest, 1.0), ratio=RATIO)  # refuses an impossible share
    device, seed = torch.device(device), generator.initial_seed()
    layers = [module for module in teacher.modules() if isinstance(module, nn.BatchNorm2d) and module.track_running_stats]
    if not layers:
        raise TeacherError(
            f"the teacher ({type(teacher).__name__}) has no BatchNorm2d layer with running statistics, which is what SRe2L "
            "recovers pictures from; use a teacher with BatchNorm"
        )
    teacher.to(device)
    center, scale = (torch.tensor(values, device=device).view(3, 1, 1) for values in (mean, spread))
    low, high = -center / scale, (1 - center) / scale
    labels = torch.arange(len(names)).repeat(ipc)  # of the pictures as they are made: one of each class after another
    groups = [part for once in labels.split(len(names)) for part in once.split(batch)]
    meter = LossMeter(f"SRe2L, {ipc} pictures per class", f"lower lr ({lr})")
    images, done, first = [], 0, 0
    resumed = checkpoint.load() if checkpoint else None
    if resumed is not None:
        images, done, first = list(resumed["images"]), resumed["done"], resumed["step"]
        meter.restore(resumed["history"], resumed["recent"], device)

    with frozen(teacher), _watched(layers) as distances:
        for number, group in enumerate(groups):
            if number < done:
                continue
            start = generator_for(seed, "SRe2L start", number)
            pixels = torch.randn(len(group), 3, size, size, generator=start).to(device).requires_grad_()
            optimizer = torch.optim.Adam([pixels], lr=lr, betas=(0.5, 0.9), eps=1e-8)
            if resumed is not None and first:
                with torch.no_grad():
                    pixels.copy_(resumed["pixels"])
                optimizer.load_state_dict(resumed["optimizer"])
            targets = group.to(device)
            label = f"recovering pictures {number + 1} of {len(groups)}"
            for step in bar(range(first, iterations), label, total=iterations, initial=first):
                seen = _view(pixels, size, lowest, generator_for(seed, "SRe2L view", number, step))
                distances.clear()
                logits = ask_teacher(teacher, seen * scale + center, len(names))
                losses = {
                    "cross_entropy": F.cross_entropy(logits, targets),
                    "statistics": first_layer * distances[0] + sum(distances[1:]),
                }
                losses = {"loss": losses["cross_entropy"] + statistics * losses["statistics"]} | losses
                set_rate(optimizer, 0.5 * lr * (1 + math.cos(math.pi * step / iterations)))
                optimizer.zero_grad(set_to_none=True)
                losses["loss"].backward()
                optimizer.step()
                with torch.no_grad():
                    pixels.copy_(torch.minimum(torch.maximum(pixels, low), high))
                ended = step + 1 == iterations
                meter.add(losses, number * iterations + step, ended)
                if checkpoint and checkpoint.due(number * iterations + step + 1) and not ended:
                    checkpoint.save({
                        "images": images, "done": number, "step": step + 1, "pixels": pixels.detach(),
                        "optimizer": optimizer.state_dict(), "history": meter.history, "recent": meter.pending(),
                    })  # fmt: skip
            if not bool(torch.isfinite(pixels).all()):
                raise Diverged(f"SRe2L: the last step made pictures of batch {number} NaN; lower lr ({lr})")
            images.append(to_uint8(pixels.detach() * scale + center).cpu())
            first = 0
    if checkpoint:
        checkpoint.clear()
    order = labels.argsort(stable=True)
    return DistilledSet(
        torch.cat(images)[order],
        labels[order],
        tuple(names),
        "sre2l",
        {
            "ipc": ipc, "size": size, "iterations": iterations, "lr": lr, "statistics": statistics, "first_layer": first_layer,
            "lowest": lowest, "batch": batch, "layers": len(layers),
        },
        meter.history,
    )  # fmt: skip


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
