"""The training loop of the diffusion transformer: from scratch, and fine-tuning with further losses, are one loop.

Step ``k`` draws from generators of its own, so a run that is resumed from a checkpoint equals an uninterrupted one bit for bit.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from srdistill.diffusion.diffit import add_scales, diffit_parameters, has_scales
from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.loss_record import LossRecord
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.step_losses import StepLosses
from srdistill.diffusion.terms import Term
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged, set_rate
from srdistill.training.resumable import resumable

TRAINED = ("all", "diffit")


def train_dit(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    recipe: DiffusionRecipe,
    generator: torch.Generator,
    trained: str = "all",
    terms: Sequence[Term] = (),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "training the diffusion model",
) -> dict[str, list[float]]:
    """Train ``model`` in place on the latents of ``data``; it ends in eval mode, frozen, with averaged weights.

    The loss is that of the noise, plus the variational term if the model learns the variance, plus the weighted ``terms``.
    All patches come up once before any comes up again.

    Args:
        generator: only its ``initial_seed()`` counts.
        trained: ``all`` weights, or those of ``diffit`` (scale factors are added if the model has none).
        terms: further losses, each with a name and a weight of its own.

    Returns:
        Means over 50 steps (the last may be fewer) by name: ``loss`` (the total), ``noise``, ``variational`` where it is in
        use, and the terms by their names, unweighted.

    Raises:
        Diverged: a loss became NaN or infinite; names it. DiTError: labels or latents that do not fit the model.
        ValueError: an unknown ``trained``.
    """
    if trained not in TRAINED:
        raise ValueError(f"unknown trained {trained!r}; there are: {', '.join(TRAINED)}")
    run = _Training(model, data, recipe, generator.initial_seed(), trained, terms, torch.device(device), label)
    for step in resumable(recipe.iterations, label, checkpoint, run.state, run.restore):
        run.step(step)
    run.finish()
    return run.record.history


class _Training:
    """What the steps of one training change: the chosen weights, their average, the optimiser, the terms, and the losses."""

    def __init__(
        self,
        model: LatentDiT,
        data: EncodedPatches,
        recipe: DiffusionRecipe,
        seed: int,
        trained: str,
        terms: Sequence[Term],
        device: torch.device,
        label: str,
    ):
        self.recipe, self.terms, self.device, self.label = recipe, terms, device, label
        self.losses = StepLosses(model.to(device), data, recipe, seed, terms, device)
        self.record = LossRecord(label, self.losses.shares, {term.name for term in terms}, recipe.lr)
        self.model = model.train()
        self.weights = _choose(model, trained)
        self.optimizer = torch.optim.AdamW(self.weights, lr=recipe.lr, weight_decay=recipe.weight_decay)
        self.average = [weight.detach().clone() for weight in self.weights] if recipe.ema else []
        self.follow = get_ema_multi_avg_fn(recipe.ema)

    def step(self, step: int) -> None:
        losses, view = self.losses(step)
        total = self.losses.total(losses)
        set_rate(self.optimizer, self.recipe.learning_rate(step))
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        if self.average:
            self.follow(self.average, self.weights, step)
        for term in self.terms:
            term.after(view)
        self.record.add(total, losses, step, step + 1 == self.recipe.iterations)

    def finish(self) -> None:
        """Leave the averaged weights in the model, frozen."""
        if not all(bool(torch.isfinite(weight).all()) for weight in self.weights):
            raise Diverged(f"{self.label}: the last step made the weights NaN; lower lr ({self.recipe.lr})")
        with torch.no_grad():
            for weight, value in zip(self.weights, self.average, strict=bool(self.average)):
                weight.copy_(value)
        self.model.eval().requires_grad_(False)

    def state(self) -> dict:
        return {
            "weights": [weight.detach() for weight in self.weights],
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "terms": [term.state() for term in self.terms],
            "losses": self.record.state(),
        }

    def restore(self, state: dict) -> None:
        with torch.no_grad():
            for weight, value in zip(self.weights, state["weights"], strict=True):
                weight.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = [value.to(self.device) for value in state["average"]]
        for term, saved in zip(self.terms, state["terms"], strict=True):
            term.restore(saved)
        self.record.restore(state["losses"], self.device)


def _choose(model: LatentDiT, trained: str) -> list[nn.Parameter]:
    model.requires_grad_(False)
    if trained == "all":
        weights = list(model.parameters())
    else:
        if not has_scales(model.transformer):
            add_scales(model.transformer)
        weights = [weight for _, weight in diffit_parameters(model.transformer)]
    for weight in weights:
        weight.requires_grad_(True)
    return weights
