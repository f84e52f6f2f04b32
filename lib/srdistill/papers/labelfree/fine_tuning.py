"""Stage 2 of the label-free paper: fine-tune a diffusion transformer on selected patches.

Patches and pseudo-labels come from stage 1. The paper fine-tunes DiT-XL/2 (``pretrained_dit``); where there are no such
weights, a small transformer is first trained from scratch on the same latents (``pretrain``). What that one samples
without fine-tuning is the control: whatever the fine-tuned set gains over it is due to the losses, not to the generator.
"""

import copy

import torch

from srdistill.diffusion.dit import LatentDiT, new_dit, use_label_rows
from srdistill.diffusion.encoded_patches import EncodedPatches
from srdistill.diffusion.training import train_dit
from srdistill.seeds import generator_for
from srdistill.training.checkpoint import Checkpoint


def pretrain(
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    architecture: dict | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    **training,
) -> tuple[LatentDiT, dict[str, list[float]]]:
    """A small DiT trained from scratch on ``data``, and its losses. Conditioned on the pseudo-labels, with the plain
    noise loss.

    ``architecture``: sizes for ``new_dit``. ``training``: settings of ``train_dit``. Latents are normalised by the
    data's own means and spreads, kept with the model. Raises what those two raise.
    """
    channels, side = data.codes.shape[2:4]
    model = new_dit(channels=channels, side=side, classes=data.classes, generator=generator, **(architecture or {}))
    model.normalise_for(data.codes)
    history = train_dit(
        model, data, generator=generator_for(generator.initial_seed(), "pretraining"), device=device, checkpoint=checkpoint,
        label=f"pretraining {model.name}", **training,
    )  # fmt: skip
    return model, history


def fine_tune(
    model: LatentDiT,
    data: EncodedPatches,
    *,
    generator: torch.Generator,
    rows: str = "null",
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    **training,
) -> tuple[LatentDiT, dict[str, list[float]]]:
    """A copy of ``model`` fine-tuned with the Minimax losses and the high-frequency one, and its losses.

    ``rows``: what the label rows of the pseudo-classes start from, see ``use_label_rows``; ``keep`` for a model from
    ``pretrain``.
    ``training``: settings of ``train_dit``; by default DiffFit with weights 0.002 and 0.008, without the high-frequency
    term, whose weight the paper's text lost. Raises what those two raise.
    """
    model = copy.deepcopy(model)
    use_label_rows(model, data.classes, rows)
    settings = {"trained": "diffit", "representative": 0.002, "diverse": 0.008} | training
    history = train_dit(
        model, data, generator=generator_for(generator.initial_seed(), "fine-tuning"), device=device, checkpoint=checkpoint,
        label=f"fine-tuning {model.name}", **settings,
    )  # fmt: skip
    model.name = f"{model.name}, fine-tuned"
    return model, history
