"""The two phases of inversion: codes are fitted to the pictures, then the generator to both (pivotal tuning)."""

import torch
from torch import Tensor

from srdistill.images.pictures import to_float
from srdistill.priors.inversion_loss import Perceptual
from srdistill.priors.inversion_recipe import InversionRecipe
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import check_codes
from srdistill.training.loop import Diverged, set_rate


class FittedCodes:
    """A code for each of N pictures, found batch after batch. ``steps``: of all batches. ``history``: mean loss by iteration.

    Every picture has an optimiser state and a loss of its own, so pictures that share a batch do not meet.
    """

    def __init__(self, prior: Prior, images: Tensor, objective: Perceptual, recipe: InversionRecipe, device: torch.device):
        self.prior, self.images, self.objective, self.recipe = prior, images, objective, recipe
        self.codes = torch.zeros(len(images), *prior.code_shape(images.shape[-1]), device=device)
        self.history = [0.0] * recipe.iterations
        self.steps = -(-len(images) // recipe.batch) * recipe.iterations
        self._optimizer: torch.optim.Adam | None = None

    def step(self, step: int) -> None:
        """One iteration of one batch; the first of a batch encodes its pictures."""
        batch, k = divmod(step, self.recipe.iterations)
        if k == 0:
            self._begin(batch)
        set_rate(self._optimizer, self.recipe.learning_rate(k))
        where = f"iteration {k} of the codes; lower lr ({self.recipe.lr})"
        values = self.objective(self.prior.decode(self._leaf), self._wanted)
        _check_finite(values.detach(), self._indices, "loss", where)
        (self._leaf.grad,) = torch.autograd.grad(values.sum(), self._leaf)
        self._optimizer.step()
        _check_finite(self._leaf.detach().flatten(1).sum(1), self._indices, "code", where)
        self.codes[self._indices] = self._leaf.detach()
        self.history[k] += float(values.detach().sum()) / len(self.images)

    def _begin(self, batch: int, codes: Tensor | None = None) -> None:
        """Turn to a batch: from ``codes``, or from what the prior encodes."""
        size = self.recipe.batch
        self._indices = torch.arange(batch * size, min(len(self.images), (batch + 1) * size))
        self._wanted = pictures_of(self.images, self._indices, self.codes.device)
        if codes is None:
            codes = self.prior.encode(self._wanted).detach().float()
            check_codes(self.prior, codes, len(self._wanted), self.images.shape[-1])
        self._leaf = codes.clone().requires_grad_()
        self._optimizer = torch.optim.Adam([self._leaf], lr=self.recipe.lr)
        self._batch = batch

    def state(self) -> dict:
        """For a checkpoint."""
        state = {"codes": self.codes, "history": self.history, "batch": self._batch}
        return state | {"optimizer": self._optimizer.state_dict()}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.codes, self.history = saved["codes"].to(self.codes.device), saved["history"]
        first = saved["batch"] * self.recipe.batch
        self._begin(saved["batch"], self.codes[first : first + self.recipe.batch])
        self._optimizer.load_state_dict(saved["optimizer"])


class Tuning:
    """Pivotal tuning: the codes stay, the weights of ``prior`` move. ``history``: mean loss of each step.

    Weights that decoding does not use get no gradient and stay.
    """

    def __init__(self, prior: Prior, codes: Tensor, images: Tensor, objective: Perceptual, recipe: InversionRecipe):
        self.prior, self.codes, self.images, self.objective, self.recipe = prior, codes, images, objective, recipe
        self.optimizer = torch.optim.Adam(prior.requires_grad_(True).parameters(), lr=recipe.tuning_lr)
        self.history: list[float] = []

    def step(self, k: int) -> None:
        """One step on the next ``batch`` pictures."""
        count, batch = len(self.images), self.recipe.batch
        chosen = (torch.arange(min(batch, count)) + k * batch) % count
        values = self.objective(self.prior.decode(self.codes[chosen]), pictures_of(self.images, chosen, self.codes.device))
        where = f"iteration {k} of the tuning; lower tuning_lr ({self.recipe.tuning_lr})"
        _check_finite(values.detach(), chosen, "loss", where)
        self.optimizer.zero_grad(set_to_none=True)
        values.mean().backward()
        self.optimizer.step()
        self.history.append(float(values.detach().mean()))

    def state(self) -> dict:
        """For a checkpoint."""
        return {"weights": self.prior.state_dict(), "optimizer": self.optimizer.state_dict(), "history": self.history}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.prior.load_state_dict(saved["weights"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history = saved["history"]


def pictures_of(images: Tensor, chosen: Tensor, device: torch.device) -> Tensor:
    """Some of the images (N, 3, size, size), as floats in [0, 1] on ``device``."""
    part = images[chosen].to(device)
    return to_float(part) if part.dtype == torch.uint8 else part.float()


def _check_finite(values: Tensor, indices: Tensor, what: str, where: str) -> None:
    bad = (~torch.isfinite(values)).nonzero().flatten().tolist()
    if bad:
        raise Diverged(f"the {what} of picture {int(indices[bad[0]])} became {float(values[bad[0]])} in {where}")
