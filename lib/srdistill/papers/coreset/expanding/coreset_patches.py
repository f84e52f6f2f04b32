"""Stage 1 of "Diffusion-Augmented Coreset Expansion for Scalable Dataset Distillation" (section 3.1): of random crops the
ones that a teacher is surest of. RDED (Sun et al., CVPR 2024) selects in the same way; its collages are in ``collages``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import PictureError, to_float, to_uint8
from srdistill.images.resized_crops import draw_boxes, resized_crops
from srdistill.networks.classifiers import Classifier
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.windows import check_ipc
from srdistill.training.teacher_logits import teacher_logits


def coreset_patches(
    real: LabelledPictures,
    *,
    teacher: Classifier,
    ipc: int,
    factor: int,
    generator: torch.Generator,
    crops: int = 5,
    pool: int | None = None,
    scale: tuple[float, float] = (0.08, 1.0),
    batch: int = 64,
    device: torch.device | str = "cpu",
) -> DistilledSet:
    """``ipc * factor**2`` patches of S // factor px for every class: as many pixels as ``ipc`` whole pictures.

    ``crops`` random resized crops of each picture are scored by the teacher's cross entropy to the true label. The best of
    each picture is kept, and of these the best of each class, in the order of their loss (equation before section 3.2;
    protocol notes, section 6.1; LINs-lab/RDED, synthesize/utils.py). The teacher sees a patch in the middle of a whole picture
    of S x S px of its own ``mean``, as published: RDED pads with zeros after normalisation, which is the mean that it
    subtracts.

    Args:
        teacher: of these classes and pictures.
        factor: r of the paper; 2 for all of its tables but 3 and figure 5, there 2 to 8.
        crops: P of the paper; 5 in RDED's scripts. pool: that many random pictures of each class (300 in RDED's scripts); None:
            all.
        scale: range of a crop's share of the picture's area. batch: pictures that are cut at a time.

    Labels are classes; ``settings["loss"]`` is the mean cross entropy of the kept patches.

    Raises:
        PictureError: pictures smaller than ``factor``. SelectionError: a class has fewer pictures than
        ``pool`` or than ``ipc * factor**2``. TeacherError: it does not fit, or gives NaN.
    """
    if crops < 1 or batch < 1:
        raise SelectionError(f"crops and batch must be 1 or more, got {crops} and {batch}")
    images, labels, names = real.images, real.labels, real.classes
    size = _patch_size(real, ipc, factor)
    chosen = _drawn(real, pool, ipc * factor**2, generator)
    side, padding = real.size, tuple(teacher.mean.flatten().tolist())
    boxes = draw_boxes(len(chosen) * crops, side, generator_for(generator.initial_seed(), "coreset crops"), scale=scale)
    best, losses = [], []
    for first in bar(range(0, len(chosen), batch), f"scoring {crops} crops of each of {len(chosen)} pictures"):
        index = chosen[first : first + batch]
        cut = _cut(images[index], boxes[first * crops : (first + batch) * crops], size, device)
        seen = padded(to_float(cut), side, padding)
        logits = teacher_logits(teacher, seen, classes=len(names), device=device)
        loss, which = _losses(logits, labels[index].repeat_interleave(crops)).view(-1, crops).min(1)
        best.append(cut.unflatten(0, (-1, crops))[torch.arange(len(index)), which].cpu())
        losses.append(loss)
    best, losses = torch.cat(best), torch.cat(losses)
    kept = _ranked(losses, labels[chosen], len(names), ipc * factor**2)
    settings = {"crops": crops, "pool": pool, "scale": list(scale), "padding": list(padding)}
    settings["loss"] = float(losses[kept].mean())
    return _made(best[kept], labels[chosen][kept], names, "coreset_patches", ipc, factor, size, settings)


def random_coreset(
    real: LabelledPictures,
    *,
    ipc: int,
    factor: int,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.08, 1.0),
) -> DistilledSet:
    """As many patches of S // factor px without a teacher: one random crop each of random pictures of every class.

    The control that the paper lacks. Raises what ``coreset_patches`` raises for the same pictures.
    """
    size = _patch_size(real, ipc, factor)
    count = ipc * factor**2
    chosen = _drawn(real, count, count, generator)
    boxes = draw_boxes(len(chosen), real.size, generator_for(generator.initial_seed(), "random coreset crops"), scale=scale)
    parts = zip(chosen.split(64), boxes.split(64), strict=True)
    patches = torch.cat([_cut(real.images[index], part, size, "cpu") for index, part in parts])
    return _made(patches, real.labels[chosen], real.classes, "random_coreset", ipc, factor, size, {"scale": list(scale)})


def padded(patches: Tensor, side: int, colour: tuple[float, float, float]) -> Tensor:
    """Float patches (N, 3, h, h) in the middle of ``side`` px of one ``colour``, (N, 3, side, side); an odd px goes below and
    right."""
    gap = side - patches.shape[-1]
    background = patches.new_tensor(colour).view(3, 1, 1)
    before, after = gap // 2, gap - gap // 2
    return F.pad(patches - background, (before, after, before, after)) + background


def _patch_size(real: LabelledPictures, ipc: int, factor: int) -> int:
    check_ipc(ipc)
    if factor < 1:
        raise SelectionError(f"factor must be 1 or more, got {factor}; 2 keeps patches of half the side")
    size = real.size // factor
    if size < 1:
        raise PictureError(
            f"factor {factor} leaves no pixel of pictures of {real.size} px; use a smaller factor or larger pictures"
        )
    return size


def _drawn(real: LabelledPictures, pool: int | None, needed: int, generator: torch.Generator) -> Tensor:
    """Indices of the pictures that are looked at, class after class."""
    chosen = []
    for label, name in enumerate(real.classes):
        members = (real.labels == label).nonzero().flatten()
        asked = len(members) if pool is None else pool
        if len(members) < asked:
            raise SelectionError(
                f"class {name!r} has {len(members)} pictures, fewer than the {asked} asked for; lower pool (or ipc or factor), "
                "or give more pictures"
            )
        if asked < needed:
            raise SelectionError(
                f"class {name!r}: ipc times factor squared is {needed} patches, one per picture, but only {asked} pictures are "
                "looked at; lower ipc or factor, or raise pool"
            )
        draws = generator_for(generator.initial_seed(), "coreset pool", label)
        chosen.append(members if pool is None else members[torch.randperm(len(members), generator=draws)[:pool]])
    return torch.cat(chosen)


def _cut(images: Tensor, boxes: Tensor, size: int, device: torch.device | str) -> Tensor:
    # Rounded to 8 bits before they are scored: what is scored is what is kept.
    return to_uint8(resized_crops(to_float(images.to(device)), boxes, size))


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.double(), labels.cpu(), reduction="none")


def _ranked(losses: Tensor, labels: Tensor, classes: int, count: int) -> Tensor:
    """Indices of the ``count`` lowest losses of every class, lowest first, class after class."""
    order = losses.argsort(stable=True)
    return torch.cat([order[labels[order] == label][:count] for label in range(classes)])


def _made(patches, labels, names, method, ipc, factor, size, settings) -> DistilledSet:
    settings = {"ipc": ipc, "factor": factor, "size": size} | settings
    return DistilledSet(patches.contiguous(), labels.cpu(), tuple(names), method, settings)
