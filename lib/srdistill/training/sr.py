"""The training loop for super-resolution.

All pictures lie on the device as ``uint8``; crops, flips and LR are made there, in batch. Step ``k`` draws from its own
generator, so a run that is resumed from a checkpoint equals an uninterrupted one bit for bit.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srdistill.images.convention import low_resolution
from srdistill.images.crops import CropBank
from srdistill.images.pictures import PictureError, to_float
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.recipe import Recipe

_LOSSES = {"l1": F.l1_loss, "mse": F.mse_loss}
# Reading the loss stops a GPU until it has caught up, so it is looked at this rarely.
_LOOK_EVERY = 50


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


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
        TrainingDiverged: the loss became NaN or infinite. PictureError: a picture is smaller than the patch.
        ValueError: the scale does not divide the patch.
    """
    if recipe.patch % scale:
        raise ValueError(f"scale {scale} does not divide the training patch of {recipe.patch} px; change Recipe.patch")
    images = list(images)
    if not images:
        raise PictureError("no pictures to train on")
    smallest = min(min(image.shape[-2:]) for image in images)
    if smallest < recipe.patch:
        raise PictureError(
            f"the training patch of {recipe.patch} px does not fit a training picture of {smallest} px; "
            "use a smaller Recipe.patch or leave the picture out"
        )
    device = torch.device(device)
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(device, memory_format=memory_format).train()
    bank = CropBank(images, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)) if recipe.ema else None
    # torch.compile pays off after hundreds of steps on a GPU; on a CPU it mostly costs a compiler run.
    forward = torch.compile(network) if recipe.compile and device.type == "cuda" else network
    loss_of = _LOSSES[recipe.loss]

    first, history, recent = 0, [], []
    state = checkpoint.load() if checkpoint else None
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        first, history = state["step"], state["history"]
        recent = [torch.tensor(value, device=device) for value in state["recent"]]

    for step in bar(range(first, recipe.iterations), label, total=recipe.iterations, initial=first):
        crops = bank.random_crops(recipe.batch, recipe.patch, generator_for(seed, "batch", step))
        hr = to_float(crops).contiguous(memory_format=memory_format)
        lr = to_float(low_resolution(crops, scale)).contiguous(memory_format=memory_format)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(step)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = loss_of(forward(lr), hr)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        optimizer.step()
        if average is not None:
            average.update_parameters(network)
        recent.append(loss.detach())
        if len(recent) == _LOOK_EVERY or step + 1 == recipe.iterations:
            mean = torch.stack(recent).mean().item()
            if not torch.isfinite(torch.tensor(mean)):
                raise TrainingDiverged(
                    f"{label}: the loss became {mean} by step {step + 1}; lower the learning rate "
                    f"({recipe.lr}) or clip the gradient (Recipe.clip_norm)"
                )
            history.append(mean)
            recent = []
        if checkpoint and checkpoint.due(step + 1) and step + 1 < recipe.iterations:
            checkpoint.save(
                {
                    "step": step + 1,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average.state_dict() if average is not None else {},
                    "history": history,
                    "recent": [value.item() for value in recent],
                }
            )
    if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
        raise TrainingDiverged(f"{label}: the last step made the weights NaN; lower the learning rate ({recipe.lr})")
    if checkpoint:
        checkpoint.clear()
    return (average.module if average is not None else network).eval(), history
