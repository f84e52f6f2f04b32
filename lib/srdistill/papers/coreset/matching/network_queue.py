"""Networks at every stage of a short training: what IDM matches features in (Zhao et al., CVPR 2023)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.networks.classifiers import Classifier


@dataclass
class Trainee:
    """A network of the queue: its ``number`` among all that were made, and ``right`` answers among the pictures ``seen``."""

    number: int
    network: Classifier
    optimizer: torch.optim.SGD
    right: int = 0
    seen: int = 0

    @property
    def accuracy(self) -> float:
        """In percent, over its training so far and before each step; 0 before the first."""
        return 100.0 * self.right / self.seen if self.seen else 0.0

    def train(self, pictures: Tensor, labels: Tensor) -> None:
        """One step of the cross entropy on pictures (N, 3, S, S) in units, with their labels (N,)."""
        self.network.requires_grad_(True)
        logits = self.network(pictures)
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, labels).backward()
        self.optimizer.step()
        self.network.requires_grad_(False)
        self.right += int((logits.argmax(1) == labels).sum())
        self.seen += len(labels)


class NetworkQueue:
    """The ``most`` youngest networks. ``make``: from a number to a fresh network."""

    def __init__(self, make: Callable[[int], Classifier], most: int, lr: float, momentum: float, decay: float):
        self.make, self.most = make, most
        self.sgd = {"lr": lr, "momentum": momentum, "weight_decay": decay}
        self.trainees: list[Trainee] = []
        self.made = 0

    def push(self) -> None:
        """One fresh network more; the oldest goes if there are too many."""
        self.trainees = [*self.trainees, self._fresh(self.made)][-self.most :]
        self.made += 1

    def pick(self, draws: torch.Generator) -> Trainee:
        """A random one."""
        return self.trainees[int(torch.randint(len(self.trainees), (), generator=draws))]

    def _fresh(self, number: int) -> Trainee:
        network = self.make(number)
        return Trainee(number, network, torch.optim.SGD(network.parameters(), **self.sgd))

    def state(self) -> dict:
        """For a checkpoint."""
        trainees = [
            {"number": one.number, "network": one.network.state_dict(), "optimizer": one.optimizer.state_dict(),
             "right": one.right, "seen": one.seen}
            for one in self.trainees
        ]  # fmt: skip
        return {"made": self.made, "trainees": trainees}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.made, self.trainees = saved["made"], []
        for one in saved["trainees"]:
            trainee = self._fresh(one["number"])
            trainee.network.load_state_dict(one["network"])
            trainee.optimizer.load_state_dict(one["optimizer"])
            trainee.right, trainee.seen = one["right"], one["seen"]
            self.trainees.append(trainee)
