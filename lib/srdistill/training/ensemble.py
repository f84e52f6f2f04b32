"""Several networks as one teacher, which says the mean of what they say."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from srdistill.networks.classifiers import Classifier
from srdistill.training.teacher_logits import TeacherError


def check_alike(networks: Sequence[Classifier]) -> None:
    """Raise TeacherError unless there are networks, all of the same classes in the same order and of the same size."""
    if not networks:
        raise TeacherError("no networks; give one or more, trained on the same classes")
    first, remedy = networks[0], "train all of them on the same pictures"
    for number, other in enumerate(networks):
        who = f"network {number} ({other.architecture})"
        if other.classes != first.classes:
            raise TeacherError(f"{who} knows other classes than network 0, or in another order; {remedy}")
        if other.size != first.size:
            raise TeacherError(f"{who} takes pictures of {other.size} px and network 0 of {first.size} px; {remedy}")


class Ensemble(nn.Module):
    """Float pictures (N, 3, size, size) in [0, 1] to the mean of the networks' logits (N, K); each normalises inside.

    In eval mode, and so are the networks from here on. ``classes``, ``size``: those of all of them. Raises TeacherError as
    ``check_alike``.
    """

    def __init__(self, networks: Sequence[Classifier]):
        super().__init__()
        check_alike(networks)
        self.networks = nn.ModuleList(networks)
        self.classes, self.size = networks[0].classes, networks[0].size
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([network(images) for network in self.networks]).mean(0)
