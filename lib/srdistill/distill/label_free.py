"""Sets sampled from a diffusion model of selected patches, as methods that a study calls like any other: rows of "Dataset
Distillation for Super-Resolution without Class Labels and Pre-trained Models"."""

import torch
from torch import Tensor

from srdistill.distill.distilled_set import DistilledSet
from srdistill.distill.dit import LatentDiT
from srdistill.distill.minimax_distilled import dit_samples, minimax_distilled
from srdistill.images.pictures import Pictures
from srdistill.priors.prior import Prior
from srdistill.training.checkpoint import Checkpoint


def label_free(
    real: Pictures,
    *,
    count: int,
    size: int,
    generator: torch.Generator,
    patches: Tensor,
    labels: Tensor,
    prior: Prior,
    model: LatentDiT,
    fine_tuning: dict | None,
    sampling: dict,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``count`` pictures of ``size`` px from ``model``, which is fine-tuned on the patches and their pseudo-labels first.

    ``real`` is not looked at: ``patches``, ``uint8`` (N, 3, size, size), were selected from it, with ``labels`` (N,).
    ``fine_tuning``: settings as in ``minimax_distilled``; None samples the model as it is, the control, from the same
    noise. Labels of the set are pseudo-classes.

    Raises ValueError if the patches have another size; what ``minimax_distilled`` raises.
    """
    if patches.shape[-1] != size:
        raise ValueError(f"patches of {patches.shape[-1]} px for a set of {size} px; select patches of {size} px")
    shared = {
        "count": count, "generator": generator, "prior": prior, "model": model, "sampling": sampling, "device": device,
        "checkpoint": checkpoint,
    }  # fmt: skip
    if fine_tuning is None:
        return dit_samples(patches, labels, **shared)
    return minimax_distilled(patches, labels, fine_tuning=fine_tuning, **shared)
