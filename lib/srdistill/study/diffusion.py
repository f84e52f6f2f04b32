"""The diffusion models of a study, kept in the store: before fine-tuning (or published weights), and after it."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from srdistill.diffusion.dit import LatentDiT, load_dit, pretrained_dit
from srdistill.diffusion.encoded_patches import encode_patches
from srdistill.papers.labelfree.fine_tuning import fine_tune, pretrain
from srdistill.priors.prior import Prior
from srdistill.seeds import generator_for
from srdistill.study.identity import code_digest, plain
from srdistill.study.store import Store
from srdistill.training.checkpoint import Checkpoint


def build_diffusion(
    pretraining: dict,
    images: Tensor,
    labels: Tensor,
    prior: Prior,
    store: Store,
    device: torch.device,
    checkpoint: Callable[[str, dict], Checkpoint],
) -> tuple[LatentDiT, float]:
    """DiT-XL/2 if ``pretraining`` is empty, else a small one trained with these settings on the codes of ``images``,
    ``uint8`` (N, 3, S, S), of classes ``labels`` (N,), and the seconds that this took.

    Raises WeightsMissing if DiT-XL/2 is neither at hand nor to be fetched; what ``pretrain`` raises.
    """
    if not pretraining:
        return pretrained_dit(download=True).to(device), 0.0
    spec = {
        "code": code_digest(pretrain),
        "settings": plain(pretraining),
        "patches": plain(images),
        "labels": plain(labels),
        "prior": plain(prior),
        "device": device.type,
    }

    def make():
        data = encode_patches(prior, images, labels, device=device)
        model, history = pretrain(
            data, generator=generator_for(0, "diffusion"), device=device, checkpoint=checkpoint("diffusion", spec),
            **pretraining,
        )  # fmt: skip
        return {"history": history}, lambda path: model.save(Path(path))

    entry = store.fetch("diffusion", spec, make)
    return load_dit(entry.tensors).to(device), entry.seconds


def fine_tuned_diffusion(
    model: LatentDiT,
    settings: dict,
    images: Tensor,
    labels: Tensor,
    prior: Prior,
    seed: int,
    store: Store,
    device: torch.device,
    checkpoint: Callable[[str, dict], Checkpoint],
) -> tuple[LatentDiT, dict[str, list[float]], float]:
    """``model`` fine-tuned with ``settings`` of ``fine_tune``; its losses; the seconds. Raises what ``fine_tune`` raises."""
    spec = {
        "code": code_digest(fine_tune),
        "settings": plain(settings),
        "model": plain(model),
        "patches": plain(images),
        "labels": plain(labels),
        "prior": plain(prior),
        "seed": seed,
        "device": device.type,
    }

    def make():
        data = encode_patches(prior, images, labels, device=device)
        given = {"prior": prior} if settings.get("detail") else {}
        tuned, history = fine_tune(
            model, data, generator=generator_for(seed, "set"), device=device, checkpoint=checkpoint("fine-tuned", spec),
            **given, **settings,
        )  # fmt: skip
        return {"history": history}, lambda path: tuned.save(Path(path))

    entry = store.fetch("fine-tuned", spec, make)
    return load_dit(entry.tensors).to(device), entry.value["history"], entry.seconds
