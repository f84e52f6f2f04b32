"""Soft labels of a teacher for the pictures of every epoch, kept in half precision, and counted.

In the coreset paper the student makes the pictures of epoch e itself, from patches and seeds, and the labels that the
teacher gave to the very same pictures are sent along: one vector of logits per patch and epoch. They are part of what has
to be stored; ``SoftLabels.bytes`` says how much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from srdistill.files import atomic_path
from srdistill.networks.classifiers import Classifier
from srdistill.progress import bar
from srdistill.training.accuracy import logits_of

# Epoch (from 0) to pictures, uint8 or float in [0, 1], (N, 3, S, S), and their labels: logits (N, K), float16 or float32,
# or classes (N,), int64; None where a teacher labels them.
Source = Callable[[int], tuple[Tensor, Tensor | None]]


class SoftLabelError(ValueError):
    """Soft labels that cannot be stored, read, or used with these pictures; the message says why."""


@dataclass(frozen=True)
class SoftLabels:
    """``logits``: float16 (epochs, N, classes), before any temperature."""

    logits: Tensor

    def __post_init__(self):
        if self.logits.dtype != torch.float16 or self.logits.ndim != 3:
            raise SoftLabelError(
                f"soft labels are float16 logits (epochs, N, classes), got {self.logits.dtype} {tuple(self.logits.shape)}"
            )
        if not bool(torch.isfinite(self.logits).all()):
            raise SoftLabelError("soft labels hold NaN or logits beyond the 65504 of float16; check the teacher")

    def __len__(self) -> int:
        """Epochs."""
        return len(self.logits)

    @property
    def bytes(self) -> int:
        """What they take: two bytes per logit."""
        return self.logits.numel() * 2

    def of_epoch(self, epoch: int) -> Tensor:
        """Logits (N, classes) of the pictures of ``epoch``, from 0."""
        if not 0 <= epoch < len(self):
            raise SoftLabelError(f"no soft labels for epoch {epoch}: {len(self)} epochs are stored; train for at most as many")
        return self.logits[epoch]

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, atomically."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(save({"logits": self.logits.contiguous()}))

    @classmethod
    def load(cls, path: str | Path) -> "SoftLabels":
        """Read what ``save`` wrote. Raises SoftLabelError if the file is damaged or something else."""
        try:
            with safe_open(path, "pt") as file:
                return cls(file.get_tensor("logits"))
        except FileNotFoundError:
            raise SoftLabelError(f"{path}: no such file; label the pictures again (label_pictures)") from None
        except (SafetensorError, SoftLabelError) as error:
            raise SoftLabelError(
                f"{path}: not a file of soft labels, or damaged ({error}); label the pictures again"
            ) from error


def label_pictures(
    teacher: Classifier,
    images_of: Callable[[int], Tensor],
    epochs: int,
    *,
    device: torch.device | str = "cpu",
    label: str = "soft labels",
) -> SoftLabels:
    """The teacher's logits for the pictures ``images_of(epoch)``, ``uint8`` or float (N, 3, S, S), of every epoch."""
    if epochs < 1:
        raise SoftLabelError(f"{epochs} epochs to label; give 1 or more")
    logits = [logits_of(teacher, images_of(epoch), device=device).half() for epoch in bar(range(epochs), label, total=epochs)]
    counts = sorted({len(rows) for rows in logits})
    if len(counts) > 1:
        raise SoftLabelError(f"every epoch must have equally many pictures, got {counts[0]} and {counts[-1]}")
    return SoftLabels(torch.stack(logits))


def with_labels(images_of: Callable[[int], Tensor], labels: SoftLabels) -> Source:
    """A source for ``train_student``: the pictures of an epoch with their stored labels."""

    def source(epoch: int) -> tuple[Tensor, Tensor]:
        images, logits = images_of(epoch), labels.of_epoch(epoch)
        if len(images) != len(logits):
            raise SoftLabelError(
                f"{len(logits)} soft labels are stored for epoch {epoch}, but there are {len(images)} pictures; "
                "label these pictures (label_pictures)"
            )
        return images, logits

    return source
