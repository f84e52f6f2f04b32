"""A small diffusion transformer trained from scratch: what stands in where there are no published weights."""

import torch

from srdistill.diffusion.dit import LatentDiT, new_dit
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.recipe import DiffusionRecipe
from srdistill.diffusion.training import train_dit
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint


def pretrain(
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    recipe: DiffusionRecipe,
    architecture: dict | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> tuple[LatentDiT, dict[str, list[float]]]:
    """A small DiT trained from scratch on ``data``, and its losses. Conditioned on the labels, with the plain noise loss.

    ``architecture``: sizes for ``new_dit``. Latents are normalised by the data's own means and spreads, kept with the model.
    Raises what ``new_dit`` and ``train_dit`` raise.
    """
    channels, side = data.codes.shape[2:4]
    model = new_dit(channels=channels, side=side, classes=data.classes, generator=generator, **(architecture or {}))
    model.normalise_for(data.codes)
    history = train_dit(
        model, data, recipe=recipe, generator=generator_for(generator.initial_seed(), "pretraining"), device=device,
        checkpoint=checkpoint, label=f"pretraining {model.name}",
    )  # fmt: skip
    return model, history
