"""The loop in which SRe2L and G-VBSM recover pictures from what networks know: noise that is moved until a loss is low."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from srdistill.images.pictures import to_uint8
from srdistill.networks.classifiers import Classifier
from srdistill.papers.coreset.matching.learned import tenth_ended
from srdistill.seeds import generator_for
from srdistill.training.loop import Diverged, LossMeter, set_rate


class Recovering(ABC):
    """One batch of pictures after another: steps 0 .. iterations - 1 make the first one, and so on.

    Pictures start as noise of a network's mean and spread, in units of which Adam (betas 0.5 and 0.9) moves them, at a rate
    that falls to zero as a cosine; they are clipped to the valid range after every step.

    ``pixels``: of the batch at hand, float (n, 3, size, size), in those units. ``images``: ``uint8``, of the batches that are
    done.

    Args:
        name: of the method, for messages and the seeds of what is drawn.
        groups: classes of the pictures, int64 (n,), batch by batch.
        units: the network whose ``mean`` and ``std`` are the units.
        ipc: for messages.
    """

    def __init__(
        self, name: str, groups: list[Tensor], *, units: Classifier, size: int, iterations: int, lr: float, seed: int,
        device: torch.device, ipc: int,
    ):  # fmt: skip
        self.name, self.groups, self.size, self.iterations, self.lr = name, groups, size, iterations, lr
        self.seed, self.device = seed, device
        self.center, self.spread = (values.detach().view(3, 1, 1) for values in (units.mean, units.std))
        self.low, self.high = -self.center / self.spread, (1 - self.center) / self.spread
        self.meter = LossMeter(f"{name}, {ipc} pictures per class", f"lower lr ({lr})")
        self.images: list[Tensor] = []

    @property
    def steps(self) -> int:
        """Of all batches."""
        return len(self.groups) * self.iterations

    def step(self, step: int) -> None:
        """Raises Diverged for a loss or pixels that are not finite."""
        number, index = divmod(step, self.iterations)
        if not index:
            self._begin(self._noise(number))
        losses = self.losses(number, index)
        set_rate(self.optimizer, 0.5 * self.lr * (1 + math.cos(math.pi * index / self.iterations)))
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.optimizer.step()
        with torch.no_grad():
            self.pixels.copy_(torch.minimum(torch.maximum(self.pixels, self.low), self.high))
        ended = index + 1 == self.iterations
        self.meter.add(losses, step, tenth_ended(index, self.iterations))
        if ended:
            self._keep(number)

    @abstractmethod
    def losses(self, number: int, index: int) -> dict[str, Tensor]:
        """Of ``pixels``, which are batch ``number``, at its step ``index``: ``loss``, which is lowered, and its parts; all
        scalars."""

    def _noise(self, number: int) -> Tensor:
        draws = generator_for(self.seed, f"{self.name} start", number)
        return torch.randn(len(self.groups[number]), 3, self.size, self.size, generator=draws)

    def _begin(self, pixels: Tensor) -> None:
        self.pixels = pixels.to(self.device).requires_grad_()
        self.optimizer = torch.optim.Adam([self.pixels], lr=self.lr, betas=(0.5, 0.9), eps=1e-8)

    def _keep(self, number: int) -> None:
        if not bool(torch.isfinite(self.pixels).all()):
            raise Diverged(f"{self.name}: the last step made pictures of batch {number} NaN; lower lr ({self.lr})")
        self.images.append(to_uint8(self.pixels.detach() * self.spread + self.center).cpu())

    def state(self) -> dict:
        """For a checkpoint."""
        return {
            "images": self.images,
            "pixels": self.pixels.detach(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self.meter.state(),
        }

    def restore(self, state: dict) -> None:
        """Go on from what ``state`` gave."""
        self.images = list(state["images"])
        self._begin(state["pixels"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.meter.restore(state["losses"], self.device)
