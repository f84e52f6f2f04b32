"""Top-1 accuracy, in percent."""

import torch
from torch import Tensor

from srdistill.images.labelled import LabelError, LabelledPictures
from srdistill.images.pictures import to_float
from srdistill.networks.classifiers import Classifier


def logits_of(network: Classifier, images: Tensor, *, device: torch.device | str = "cpu", batch: int = 250) -> Tensor:
    """float32 (N, K) on the CPU for pictures ``uint8``, or float in [0, 1], (N, 3, S, S); the network ends in eval mode."""
    network = network.to(device).eval()
    rows = []
    with torch.inference_mode():
        for part in images.split(batch):
            part = part.to(device)
            rows.append(network(to_float(part) if part.dtype == torch.uint8 else part).float().cpu())
    # A copy: tensors of inference mode cannot take part in training.
    return torch.cat(rows).clone()


def confusion(network: Classifier, data: LabelledPictures, *, device: torch.device | str = "cpu", batch: int = 250) -> Tensor:
    """int64 (K, K): how many pictures of the class of the row the network takes for the class of the column.

    Raises:
        LabelError: the network's number of classes, or its size, is not that of the pictures.
    """
    if data.size != network.size:
        raise LabelError(
            f"{data.name}: pictures of {data.size} px for a {network.architecture} of {network.size} px; "
            f"load them with size={network.size}"
        )
    logits = logits_of(network, data.images, device=device, batch=batch)
    count = len(data.classes)
    if logits.shape[1] != count:
        raise LabelError(f"{data.name} has {count} classes, the {network.architecture} tells {logits.shape[1]} apart")
    cells = data.labels.cpu() * count + logits.argmax(1)
    return torch.bincount(cells, minlength=count**2).view(count, count)


def accuracy(network: Classifier, data: LabelledPictures, *, device: torch.device | str = "cpu", batch: int = 250) -> float:
    """Percentage of pictures whose largest logit is that of their class. Raises LabelError as ``confusion``."""
    counts = confusion(network, data, device=device, batch=batch)
    return 100.0 * counts.diagonal().sum().item() / counts.sum().item()


def class_accuracy(
    network: Classifier, data: LabelledPictures, *, device: torch.device | str = "cpu", batch: int = 250
) -> dict[str, float]:
    """Accuracy in percent by class name, of the classes that have pictures."""
    counts = confusion(network, data, device=device, batch=batch)
    totals, right = counts.sum(1).tolist(), counts.diagonal().tolist()
    return {name: 100.0 * r / n for name, r, n in zip(data.classes, right, totals, strict=True) if n}
