"""The training loop for super-resolution.

All pictures lie on the device as ``uint8``; crops, flips and LR are made there, in batch. Step ``k`` draws from its own
generator, so a run that is resumed from a checkpoint equals an uninterrupted one bit for bit.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srdistill.images.convention import low_resolution
from srdistill.images.crops import CropBank
from srdistill.images.pictures import to_float
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import (
    LossMeter,
    moving_average,
    require_finite_weights,
    set_rate,
    training_pictures,
)
from srdistill.training.recipe import Recipe

_LOSSES = {"l1": F.l1_loss, "mse": F.mse_loss}


def train(
    network: nn.Module,
    images: Iterable[Tensor],
    recipe: Recipe,
    *,
    scale: int,
    seed: int,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    label: str = "training",
) -> tuple[nn.Module, list[float]]:
    """Train ``network`` in place on HR pictures ``uint8`` (3, H, W); return the network to evaluate and the losses.

    The returned network is the exponential average of the weights if the recipe asks for one; the losses are means
    over 50 steps.

    Raises:
        Diverged: the loss became NaN or infinite. PictureError: a picture is smaller than the patch.
        ValueError: the scale does not divide the patch.
    """
    images = training_pictures(images, recipe.patch, scale)
    device = torch.device(device)
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(device, memory_format=memory_format).train()
    bank = CropBank(images, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)
    average = moving_average(network, recipe.ema)
    # torch.compile pays off after hundreds of steps on a GPU; on a CPU it mostly costs a compiler run.
    forward = torch.compile(network) if recipe.compile and device.type == "cuda" else network
    loss_of = _LOSSES[recipe.loss]

    remedy = f"lower the learning rate ({recipe.lr})"
    meter = LossMeter(label, f"{remedy} or clip the gradient (Recipe.clip_norm)")
    first = 0
    state = checkpoint.load() if checkpoint else None
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        first = state["step"]
        meter.restore({"loss": state["history"]}, {"loss": state["recent"]}, device)

    for step in bar(range(first, recipe.iterations), label, total=recipe.iterations, initial=first):
        crops = bank.random_crops(recipe.batch, recipe.patch, generator_for(seed, "batch", step))
        hr = to_float(crops).contiguous(memory_format=memory_format)
        lr = to_float(low_resolution(crops, scale)).contiguous(memory_format=memory_format)
        set_rate(optimizer, recipe.learning_rate(step))
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = loss_of(forward(lr), hr)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        optimizer.step()
        if average is not None:
            average.update_parameters(network)
        meter.add({"loss": loss}, step, step + 1 == recipe.iterations)
        if checkpoint and checkpoint.due(step + 1) and step + 1 < recipe.iterations:
            checkpoint.save(
                {
                    "step": step + 1,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average.state_dict() if average is not None else {},
                    "history": meter.history.get("loss", []),
                    "recent": meter.pending().get("loss", []),
                }
            )
    require_finite_weights(network, label, remedy)
    if checkpoint:
        checkpoint.clear()
    return (average.module if average is not None else network).eval(), meter.history["loss"]
