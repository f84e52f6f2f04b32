"""The losses of one batch: what a training step goes down, and what is measured of a finished model."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.diffusion.dit import DiTError, LatentDiT
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.schedule import STEPS, NoiseSchedule
from srdistill.diffusion.terms import StepView, Term
from srdistill.seeds import generator_for


class StepLosses:
    """The losses of ``model`` by name, batch after batch: of the noise, the variational one if the model learns the variance,
    and the ``terms``. ``shares``: their weights in the total, in the same order.

    Patches, times, noises and dropped labels of batch ``step`` follow from ``seed`` and ``step`` alone. All patches come up
    once before any comes up again. Raises DiTError for labels or latents that do not fit the model.
    """

    def __init__(
        self, model: LatentDiT, data: EncodedPatches, recipe: DiffusionRecipe, seed: int, terms: Sequence[Term],
        device: torch.device,
    ):  # fmt: skip
        _check_data(model, data)
        self.model, self.recipe, self.seed, self.terms, self.device = model, recipe, seed, terms, device
        self.latents, self.labels = model.to_latents(data.codes.to(device)), data.labels.to(device)
        self.order, self.noises = _Order(len(data), seed), NoiseSchedule(device)
        own = {"noise": 1.0} | ({"variational": 1.0} if model.learns_variance else {})
        self.shares = own | {term.name: term.weight for term in terms}

    def __call__(self, step: int) -> tuple[dict[str, Tensor], StepView]:
        """The losses of batch ``step``, unweighted, and what the terms were shown, for their ``after``."""
        losses, view = self._of_the_model(step)
        return losses | {term.name: term(view) for term in self.terms}, view

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """Their weighted sum; all are scalars."""
        return sum(self.shares[name] * value for name, value in losses.items())

    def _of_the_model(self, step: int) -> tuple[dict[str, Tensor], StepView]:
        model, batch, device = self.model, self.recipe.batch, self.device
        draws = generator_for(self.seed, "diffusion step", step)
        index = self.order.batch(step, batch).to(device)
        mirrored = torch.randint(self.latents.shape[1], (batch,), generator=draws).to(device)
        times = torch.randint(STEPS, (batch,), generator=draws).to(device)
        noise = torch.randn(batch, *self.latents.shape[2:], generator=draws).to(device)
        dropped = (torch.rand(batch, generator=draws) < self.recipe.label_dropout).to(device)
        clean, classes = self.latents[index, mirrored], self.labels[index]
        noisy = self.noises.add_noise(clean, noise, times)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            output = model(noisy, times, torch.where(dropped, model.null_label, classes))
        output = output.float()
        epsilon = output[:, : model.channels]
        losses = {"noise": (epsilon - noise).square().mean()}
        if model.learns_variance:
            losses["variational"] = self.noises.variational(output, clean, noisy, times).mean()
        guess = self.noises.predicted_clean(noisy, epsilon, times)
        abar = self.noises.abar(times)
        return losses, StepView(step, guess, clean, classes, times, abar, index, mirrored.bool(), draws)


def _check_data(model: LatentDiT, data: EncodedPatches) -> None:
    model.check_labels(data.labels)
    needed, shape = (model.channels, model.side, model.side), tuple(data.codes.shape[2:])
    if shape != needed:
        raise DiTError(
            f"{model.name} works on latents {needed}, but the codes of these patches are {shape}; encode patches of the "
            "model's size with the prior that it was made for"
        )


class _Order:
    """Which patches a step sees: one permutation of all after another, read on without a break."""

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed
        self._kept: tuple[int, Tensor] = (-1, torch.empty(0))

    def _permutation(self, epoch: int) -> Tensor:
        if self._kept[0] != epoch:
            self._kept = epoch, torch.randperm(self.count, generator=generator_for(self.seed, "diffusion epoch", epoch))
        return self._kept[1]

    def batch(self, step: int, size: int) -> Tensor:
        places = [divmod(place, self.count) for place in range(step * size, (step + 1) * size)]
        return torch.stack([self._permutation(epoch)[place] for epoch, place in places])
