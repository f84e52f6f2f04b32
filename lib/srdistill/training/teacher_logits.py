"""What a classifier says of many pictures, and what is checked before it is believed: the one place that asks a teacher."""

import torch
from torch import Tensor, nn

from srdistill.images.pictures import to_float

# On a CPU so many pixels at a time leave what a layer makes in the cache: of 64 px pictures four, half the time of 64 of them.
_CPU_PIXELS, _CPU_LEAST = 2**14, 4
_GPU_BATCH = 256


class TeacherError(ValueError):
    """A teacher that must not be used, cannot be read, or gives no numbers; the message says why and what to do."""


@torch.no_grad()
def teacher_logits(
    teacher: nn.Module, images: Tensor, *, classes: int, batch: int | None = None, device: torch.device | str = "cpu"
) -> Tensor:
    """Logits of ``uint8`` or float [0, 1] images (N, 3, H, W): float32 (N, classes), on the CPU.

    ``teacher``: from float images in [0, 1] to logits, normalising inside; it is used in eval mode and put back afterwards.
    ``batch``: pictures at a time, on which logits do not depend but for rounding; None: what is fast on the device.

    Raises:
        TeacherError: another number of classes, pictures of a size that it cannot read, or logits that are not finite.
    """
    device, training = torch.device(device), teacher.training
    batch = _fast_batch(images, device) if batch is None else batch
    if batch < 1:
        raise ValueError(f"batch must be 1 or more, got {batch}")
    teacher.to(device).eval()
    found = []
    try:
        for part in images.split(batch):
            part = part.to(device)
            found.append(ask_teacher(teacher, to_float(part) if part.dtype == torch.uint8 else part, classes).float().cpu())
    finally:
        teacher.train(training)
    logits = torch.cat(found) if found else torch.empty(0, classes)
    bad = (~torch.isfinite(logits)).any(1).nonzero().flatten().tolist()
    if bad:
        raise TeacherError(
            f"the teacher gives NaN or infinity for {len(bad)} of {len(logits)} pictures, first picture {bad[0]}; train it "
            "anew with a lower rate, or check that the file of weights is its own"
        )
    return logits


def _fast_batch(images: Tensor, device: torch.device) -> int:
    if device.type != "cpu":
        return _GPU_BATCH
    return max(_CPU_LEAST, _CPU_PIXELS // max(1, images.shape[-1] * images.shape[-2]))


def ask_teacher(teacher: nn.Module, images: Tensor, classes: int) -> Tensor:
    """Logits (N, classes) of float images (N, 3, H, W) in [0, 1], with a graph.

    Raises TeacherError for another number of classes or a size it cannot read.
    """
    try:
        logits = teacher(images)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise
        # A head for one size may say no more than that two matrices do not fit.
        raise TeacherError(
            f"the teacher cannot read pictures of {images.shape[-2]} x {images.shape[-1]} px "
            f"({' '.join(str(error).split())[:120]}); "
            "use one with global pooling, or pictures of the size that it was trained on"
        ) from error
    if logits.shape != (len(images), classes):
        raise TeacherError(
            f"the teacher gives logits {tuple(logits.shape)} for {len(images)} pictures of {classes} classes; use the teacher "
            "of these classes, in their order"
        )
    return logits
