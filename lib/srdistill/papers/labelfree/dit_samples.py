"""Stage 3 of "Dataset Distillation for Super-Resolution without Class Labels and Pre-trained Models": a set sampled from a
diffusion model of selected patches."""

import torch

from srdistill.diffusion.dit import LatentDiT
from srdistill.diffusion.sampling import Sampling, sample_pictures
from srdistill.images.pictures import Pictures
from srdistill.priors.prior import Prior
from srdistill.sets.distilled_set import DistilledSet


def dit_samples(
    real: Pictures,
    *,
    count: int,
    size: int,
    generator: torch.Generator,
    model: LatentDiT,
    prior: Prior,
    sampling: Sampling = Sampling(),
    training: dict | None = None,
    device: torch.device | str = "cpu",
) -> DistilledSet:
    """``count`` pictures of ``size`` px from ``model``, as many of every class, in the order of the classes.

    A model that ``fine_tune`` made gives the paper's set, one from ``pretrain`` its control: with the same generator both
    start from the same noise, so the two can be compared picture by picture. ``real`` is not looked at: the model was trained
    on patches of it. The pictures are what is kept, so nothing else is needed to rebuild them.

    ``training``: how the model was trained, recorded in the set.

    Raises:
        What ``sample_pictures`` raises; ValueError too if the classes do not divide ``count``.
    """
    if count < 1 or count % model.classes:
        below = count - count % model.classes
        raise ValueError(
            f"{count} pictures cannot be shared equally by {model.classes} classes; ask for "
            f"{f'{below} or ' if below > 0 else ''}{max(below, 0) + model.classes}"
        )
    labels = torch.arange(model.classes).repeat_interleave(count // model.classes)
    images, made = sample_pictures(model, prior, labels, size=size, generator=generator, sampling=sampling, device=device)
    return DistilledSet(
        images,
        labels,
        tuple(f"cluster {index}" for index in range(model.classes)),
        "dit_samples",
        {"count": count, "size": size, "model": model.name, "prior": prior.name, "training": training or {}, **made},
    )
