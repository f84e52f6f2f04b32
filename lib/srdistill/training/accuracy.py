"""Top-1 accuracy, in percent."""

import torch
from torch import Tensor

from srdistill.images.labelled import LabelError, LabelledPictures
from srdistill.networks.classifiers import Classifier
from srdistill.training.teacher_logits import teacher_logits


def confusion(
    network: Classifier, data: LabelledPictures, *, device: torch.device | str = "cpu", batch: int | None = None
) -> Tensor:
    """int64 (K, K): how many pictures of the class of the row the network takes for the class of the column.

    Raises:
        LabelError: the network's number of classes, or its size, is not that of the pictures. TeacherError: its logits are
        not finite.
    """
    count, logits = len(data.classes), _logits(network, data, device, batch)
    cells = data.labels.cpu() * count + logits.argmax(1)
    return torch.bincount(cells, minlength=count**2).view(count, count)


def correct(
    network: Classifier, data: LabelledPictures, *, device: torch.device | str = "cpu", batch: int | None = None
) -> str:
    """Picture by picture in their order, ``1`` where the largest logit is that of its class and ``0`` where it is not. Raises
    what ``confusion`` raises."""
    logits = _logits(network, data, device, batch)
    return "".join("1" if right else "0" for right in (logits.argmax(1) == data.labels.cpu()).tolist())


def share_correct(right: str) -> float:
    """The accuracy, in percent, of what ``correct`` returned."""
    return 100.0 * right.count("1") / len(right)


def _logits(network: Classifier, data: LabelledPictures, device: torch.device | str, batch: int | None) -> Tensor:
    """(N, K), on the CPU."""
    if data.size != network.size:
        raise LabelError(
            f"{data.name}: pictures of {data.size} px for a {network.architecture} of {network.size} px; "
            f"load them with size={network.size}"
        )
    count = len(data.classes)
    if len(network.classes) != count:
        raise LabelError(f"{data.name} has {count} classes, the {network.architecture} tells {len(network.classes)} apart")
    return teacher_logits(network, data.images, classes=count, device=device, batch=batch)
