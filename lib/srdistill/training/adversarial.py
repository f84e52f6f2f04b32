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
from srdistill.networks.discriminators import build_discriminator
from srdistill.progress import bar
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
from srdistill.training.perceptual_loss import PerceptualLoss, perceptual_loss


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
    device = torch.device(device)
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    perceptual = _check_perceptual(perceptual, recipe).to(device) if recipe.perceptual_weight else None
    discriminator = None
    if recipe.gan_weight:
        discriminator = build_discriminator(recipe.discriminator, recipe.patch, seed, **recipe.discriminator_sizes)
        discriminator.to(device, memory_format=memory_format).train()
    network.to(device, memory_format=memory_format).train()
    bank = CropBank(images, device)
    # Sharpened once and whole: their crops lie at the same places, and see what is beside them.
    sharp_bank = CropBank([sharpen(image.to(device)).cpu() for image in images], device) if recipe.sharpen else None
    optimizer = _adam(network, recipe)
    discriminator_optimizer = _adam(discriminator, recipe) if discriminator is not None else None
    average = moving_average(network, recipe.ema)
    remedy = f"lower the learning rate ({recipe.lr}, in the warm-up {recipe.warm_up_lr}) or the weight of the loss"
    meter = LossMeter(label, remedy)
    first = 0
    state = checkpoint.load() if checkpoint else None
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if discriminator is not None:
            discriminator.load_state_dict(state["discriminator"])
            discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        first = state["step"]
        meter.restore(state["history"], state["recent"], device)

    def crops(source: CropBank, step: int) -> Tensor:
        return source.random_crops(recipe.batch, recipe.patch, generator_for(seed, "batch", step))

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")

    for step in bar(range(first, recipe.steps), label, total=recipe.steps, initial=first):
        if step == recipe.warm_up and step:
            optimizer = _adam(network, recipe)  # two trainings in the references: the moments of L1 alone are not kept
        pictures = crops(bank, step)
        real = to_float(pictures).contiguous(memory_format=memory_format)
        lr = to_float(low_resolution(pictures, scale)).contiguous(memory_format=memory_format)
        target = real if sharp_bank is None else to_float(crops(sharp_bank, step)).contiguous(memory_format=memory_format)
        with autocast():
            made = network(lr)
            losses = {"L1 loss": F.l1_loss(made, target)}
            total = losses["L1 loss"]
            if step >= recipe.warm_up:
                total = recipe.l1_weight * total
                if perceptual is not None:
                    losses["perceptual loss"] = perceptual(made, target)
                    total = total + recipe.perceptual_weight * losses["perceptual loss"]
                if discriminator is not None:
                    discriminator.requires_grad_(False)
                    losses["GAN loss"] = _generator_loss(discriminator, made, real, recipe.gan)
                    total = total + recipe.gan_weight * losses["GAN loss"]
        _step(optimizer, total, recipe.learning_rate(step))
        if average is not None:
            average.update_parameters(network)
        if step >= recipe.warm_up and discriminator is not None:
            discriminator.requires_grad_(True)
            with autocast():
                on_real, on_made = _discriminator_losses(discriminator, made.detach(), real, recipe.gan)
            _step(discriminator_optimizer, on_real + on_made, recipe.learning_rate(step))
            losses["discriminator loss (real)"] = on_real
            losses["discriminator loss (made)"] = on_made
        meter.add(losses, step, step + 1 == recipe.steps)
        if checkpoint and checkpoint.due(step + 1) and step + 1 < recipe.steps:
            checkpoint.save(
                {
                    "step": step + 1,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "discriminator": discriminator.state_dict() if discriminator is not None else {},
                    "discriminator_optimizer": discriminator_optimizer.state_dict() if discriminator is not None else {},
                    "average": average.state_dict() if average is not None else {},
                    "history": meter.history,
                    "recent": meter.pending(),
                }
            )
    require_finite_weights(network, label, remedy)
    if checkpoint:
        checkpoint.clear()
    return (average.module if average is not None else network).eval(), meter.history


def _check_perceptual(perceptual: PerceptualLoss | None, recipe: AdversarialRecipe) -> PerceptualLoss:
    if perceptual is None:
        perceptual = perceptual_loss(recipe.perceptual)
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


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
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
