"""The training loop of RealSR and Real-ESRGAN: L1, perceptual loss and a discriminator.

Crops, flips and LR are those of ``training.sr``, and as there a run that is resumed equals an uninterrupted one bit for
bit. Every generator starts at random: the published ones start from weights trained on thousands of other pictures, which
would hide what the training set at hand is worth.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.convention import low_resolution
from srdistill.images.crops import CropBank
from srdistill.images.pictures import to_float
from srdistill.images.sharpen import sharpen
from srdistill.needs import Need, needing
from srdistill.networks.discriminators import build_discriminator
from srdistill.seeds import generator_for
from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import (
    LossMeter,
    moving_average,
    require_finite_weights,
    set_rate,
    training_pictures,
)
from srdistill.training.perceptual_loss import PerceptualLoss, perceptual_loss, perceptual_loss_need
from srdistill.training.resumable import resumable


def _needs(recipe: AdversarialRecipe, **_) -> list[Need]:
    return [perceptual_loss_need(recipe.perceptual, download=True)] if recipe.perceptual_weight else []


@needing(_needs)
def train_adversarial(
    network: nn.Module,
    images: Iterable[Tensor],
    recipe: AdversarialRecipe,
    *,
    scale: int,
    seed: int,
    perceptual: PerceptualLoss | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "adversarial training",
) -> tuple[nn.Module, dict[str, list[float]]]:
    """Train ``network`` in place on HR pictures ``uint8`` (3, H, W); return the network to evaluate and the losses.

    The discriminator is made here, from ``seed``. The returned network is the exponential average of the weights if the
    recipe asks for one. The losses are means over 50 steps, unweighted, by name: ``L1 loss``, ``perceptual loss``,
    ``GAN loss``, ``discriminator loss (real)`` and ``... (made)``; all but L1 begin after the warm-up.

    Args:
        perceptual: the recipe's perceptual loss, if it is loaded already; None loads it by its name.

    Raises:
        Diverged: a loss became NaN or infinite; the message names the first. PictureError: a picture is smaller
        than the patch, or too small to sharpen. WeightsMissing: no weights for the perceptual loss. ValueError: the scale
        does not divide the patch, the discriminator or the perceptual loss cannot take it, or ``perceptual`` is another
        than the recipe's.
    """
    images = training_pictures(images, recipe.patch, scale)
    perceptual = _check_perceptual(perceptual, recipe) if recipe.perceptual_weight else None
    run = _Training(network, images, recipe, scale, seed, perceptual, torch.device(device), label)
    for step in resumable(recipe.steps, label, checkpoint, run.state, run.restore):
        run.step(step)
    require_finite_weights(network, label, run.remedy)
    return (run.average.module if run.average is not None else network).eval(), run.meter.history


class _Training:
    """What the steps of one training change: two networks, two optimisers, the average, and the losses so far."""

    def __init__(
        self,
        network: nn.Module,
        images: list[Tensor],
        recipe: AdversarialRecipe,
        scale: int,
        seed: int,
        perceptual: PerceptualLoss | None,
        device: torch.device,
        label: str,
    ):
        self.recipe, self.scale, self.seed, self.device = recipe, scale, seed, device
        self.memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.perceptual = perceptual.to(device) if perceptual is not None else None
        self.discriminator = None
        if recipe.gan_weight:
            self.discriminator = build_discriminator(recipe.discriminator, recipe.patch, seed, **recipe.discriminator_sizes)
            self.discriminator.to(device, memory_format=self.memory_format).train()
        self.network = network.to(device, memory_format=self.memory_format).train()
        self.bank = CropBank(images, device)
        # Sharpened once and whole: their crops lie at the same places, and see what is beside them.
        self.sharp_bank = CropBank([sharpen(image.to(device)).cpu() for image in images], device) if recipe.sharpen else None
        self.optimizer = _adam(network, recipe)
        self.discriminator_optimizer = _adam(self.discriminator, recipe) if self.discriminator is not None else None
        self.average = moving_average(network, recipe.ema)
        self.remedy = f"lower the learning rate ({recipe.lr}, in the warm-up {recipe.warm_up_lr}) or the weight of the loss"
        self.meter = LossMeter(label, self.remedy)

    def step(self, step: int) -> None:
        recipe = self.recipe
        if step == recipe.warm_up and step:
            # Two trainings in the references: the moments of L1 alone are not kept.
            self.optimizer = _adam(self.network, recipe)
        pictures = self._crops(self.bank, step)
        real, lr = self._floats(pictures), self._floats(low_resolution(pictures, self.scale))
        target = real if self.sharp_bank is None else self._floats(self._crops(self.sharp_bank, step))
        with self._autocast():
            made = self.network(lr)
            losses, total = self._generator_losses(made, real, target, step)
        _descend(self.optimizer, total, recipe.learning_rate(step))
        if self.average is not None:
            self.average.update_parameters(self.network)
        if step >= recipe.warm_up and self.discriminator is not None:
            losses |= self._teach_discriminator(made.detach(), real, recipe.learning_rate(step))
        self.meter.add(losses, step, step + 1 == recipe.steps)

    def _generator_losses(self, made: Tensor, real: Tensor, target: Tensor, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """The generator's losses by name, and their weighted sum; in the warm-up L1 alone."""
        recipe = self.recipe
        losses = {"L1 loss": F.l1_loss(made, target)}
        total = losses["L1 loss"]
        if step < recipe.warm_up:
            return losses, total
        total = recipe.l1_weight * total
        if self.perceptual is not None:
            losses["perceptual loss"] = self.perceptual(made, target)
            total = total + recipe.perceptual_weight * losses["perceptual loss"]
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)
            losses["GAN loss"] = _generator_loss(self.discriminator, made, real, recipe.gan)
            total = total + recipe.gan_weight * losses["GAN loss"]
        return losses, total

    def _teach_discriminator(self, made: Tensor, real: Tensor, rate: float) -> dict[str, Tensor]:
        """One step of the discriminator; its losses by name."""
        self.discriminator.requires_grad_(True)
        with self._autocast():
            on_real, on_made = _discriminator_losses(self.discriminator, made, real, self.recipe.gan)
        _descend(self.discriminator_optimizer, on_real + on_made, rate)
        return {"discriminator loss (real)": on_real, "discriminator loss (made)": on_made}

    def _crops(self, bank: CropBank, step: int) -> Tensor:
        return bank.random_crops(self.recipe.batch, self.recipe.patch, generator_for(self.seed, "batch", step))

    def _floats(self, pictures: Tensor) -> Tensor:
        return to_float(pictures).contiguous(memory_format=self.memory_format)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """All with a state of their own, by name."""
        parts = {
            "network": self.network,
            "optimizer": self.optimizer,
            "discriminator": self.discriminator,
            "discriminator_optimizer": self.discriminator_optimizer,
            "average": self.average,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def state(self) -> dict:
        return {name: part.state_dict() for name, part in self._parts().items()} | {"losses": self.meter.state()}

    def restore(self, state: dict) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.meter.restore(state["losses"], self.device)


def _check_perceptual(perceptual: PerceptualLoss | None, recipe: AdversarialRecipe) -> PerceptualLoss:
    if perceptual is None:
        perceptual = perceptual_loss(recipe.perceptual, download=True)
    if perceptual.name != recipe.perceptual:
        raise ValueError(f"the recipe asks for the perceptual loss {recipe.perceptual!r}, got {perceptual.name!r}")
    if recipe.patch < perceptual.smallest:
        raise ValueError(
            f"a patch of {recipe.patch} px is too small for the perceptual loss {perceptual.name}, which needs "
            f"{perceptual.smallest} px; change AdversarialRecipe.patch"
        )
    return perceptual


def _adam(network: nn.Module, recipe: AdversarialRecipe) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    set_rate(optimizer, rate)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _says(logits: Tensor, real: bool) -> Tensor:
    """Cross-entropy of the verdicts with all real or all made."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def _generator_loss(discriminator: nn.Module, made: Tensor, real: Tensor, kind: str) -> Tensor:
    """How well the made pictures pass as real; relativistic: and the real ones, beside them, as made."""
    on_made = discriminator(made)
    if kind == "vanilla":
        return _says(on_made, True)
    with torch.no_grad():
        on_real = discriminator(real)
    return (_says(on_real - on_made.mean(), False) + _says(on_made - on_real.mean(), True)) / 2


def _discriminator_losses(discriminator: nn.Module, made: Tensor, real: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """How badly the discriminator tells the two apart: on real and on made pictures. Relativistic: half of each."""
    on_real, on_made = discriminator(real), discriminator(made)
    if kind == "vanilla":
        return _says(on_real, True), _says(on_made, False)
    return _says(on_real - on_made.mean(), True) / 2, _says(on_made - on_real.mean(), False) / 2
