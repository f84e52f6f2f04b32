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
from srdistill.training.resumable import resumable

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
    run = _Training(network, training_pictures(images, recipe.patch, scale), recipe, scale, seed, torch.device(device), label)
    for step in resumable(recipe.iterations, label, checkpoint, run.state, run.restore):
        run.step(step)
    require_finite_weights(network, label, run.remedy)
    return (run.average.module if run.average is not None else network).eval(), run.meter.history["loss"]


class _Training:
    """What the steps of one training change, and how."""

    def __init__(
        self, network: nn.Module, images: list[Tensor], recipe: Recipe, scale: int, seed: int, device: torch.device, label: str
    ):
        self.recipe, self.scale, self.seed, self.device = recipe, scale, seed, device
        self.memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network = network.to(device, memory_format=self.memory_format).train()
        self.bank = CropBank(images, device)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)
        self.average = moving_average(network, recipe.ema)
        # torch.compile pays off after hundreds of steps on a GPU; on a CPU it mostly costs a compiler run.
        self.forward = torch.compile(network) if recipe.compile and device.type == "cuda" else network
        self.remedy = f"lower the learning rate ({recipe.lr})"
        self.meter = LossMeter(label, f"{self.remedy} or clip the gradient (Recipe.clip_norm)")

    def step(self, step: int) -> None:
        recipe = self.recipe
        crops = self.bank.random_crops(recipe.batch, recipe.patch, generator_for(self.seed, "batch", step))
        hr = to_float(crops).contiguous(memory_format=self.memory_format)
        lr = to_float(low_resolution(crops, self.scale)).contiguous(memory_format=self.memory_format)
        set_rate(self.optimizer, recipe.learning_rate(step))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = _LOSSES[recipe.loss](self.forward(lr), hr)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.meter.add({"loss": loss}, step, step + 1 == recipe.iterations)

    def state(self) -> dict:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else {},
            "losses": self.meter.state(),
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.meter.restore(state["losses"], self.device)
