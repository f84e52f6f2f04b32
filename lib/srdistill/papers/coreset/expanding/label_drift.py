"""How far the teacher's labels of the same pictures drift apart when these are made twice.

A student makes the teacher's pictures again from patches and seeds, on its own device: where the pictures differ, the labels
that it was sent are those of other pictures (protocol notes, section 6.3).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.pictures import PictureError
from srdistill.training.teacher_logits import teacher_logits


def label_drift(
    teacher: nn.Module, first: Tensor, second: Tensor, *, classes: int, temperature: float = 1.0, **asking
) -> dict[str, float]:
    """Of two makings ``uint8`` (N, 3, H, W) of the same pictures: ``levels``, the largest difference in 8-bit levels;
    ``mean_kl`` and ``max_kl``, Kullback-Leibler divergence in nats of the second's labels from the first's at ``temperature``;
    ``agreement``, share of pictures with the same best class.

    ``asking``: batch and device for ``teacher_logits``. Raises PictureError for makings of other pictures, and what it raises.
    """
    if first.shape != second.shape or not len(first):
        raise PictureError(
            f"two makings of the same pictures have one shape, got {tuple(first.shape)} and {tuple(second.shape)}; "
            "make both from the same patches and at one size"
        )
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    ours, theirs = (teacher_logits(teacher, images, classes=classes, **asking).double() for images in (first, second))
    logs = [F.log_softmax(logits / temperature, dim=1) for logits in (ours, theirs)]
    divergence = (logs[0].exp() * (logs[0] - logs[1])).sum(1).clamp(min=0)
    return {
        "levels": float((first.cpu().int() - second.cpu().int()).abs().max()),
        "mean_kl": float(divergence.mean()),
        "max_kl": float(divergence.max()),
        "agreement": float((ours.argmax(1) == theirs.argmax(1)).double().mean()),
    }
