"""Soft labels: a teacher's logits for the very pictures that a student sees, in half precision, as they are stored and sent."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from srdistill.training.teacher_logits import TeacherError, teacher_logits

# Epoch (from 0) to pictures, uint8 or float in [0, 1], (N, 3, S, S), and their labels: logits (N, K), float16 or float32,
# or classes (N,), int64; None where a teacher labels them. Or logits and, as a third part, classes: for recipes that want both.
Source = Callable[[int], tuple[Tensor, Tensor | None] | tuple[Tensor, Tensor, Tensor]]


def soft_labels(
    teacher: nn.Module, pictures: Tensor, classes: int, device: torch.device | str = "cpu", batch: int | None = None
) -> Tensor:
    """The teacher's logits of pictures, ``uint8`` or float in [0, 1], in float16, (N, classes), before any temperature.

    Raises TeacherError as ``teacher_logits`` does, and for logits beyond float16's 65504.
    """
    logits = teacher_logits(teacher, pictures, classes=classes, batch=batch, device=device)
    half = logits.half()
    if not bool(torch.isfinite(half).all()):
        raise TeacherError(
            f"the teacher's logits reach {float(logits.abs().max()):.3g}, more than float16 holds; scale its head"
        )
    return half
