"""The diffusion model of a study before fine-tuning: trained on its patches and kept in the store, or published weights."""

from collections.abc import Callable
from pathlib import Path

import torch

from srdistill.distill.dit import LatentDiT, load_dit, pretrained_dit
from srdistill.distill.encoded_patches import encode_patches
from srdistill.distill.minimax_distilled import pretrain
from srdistill.distill.patch_pool import PatchPool
from srdistill.priors.prior import Prior
from srdistill.seeds import generator_for
from srdistill.study.identity import code_digest, plain
from srdistill.study.store import Store
from srdistill.training.checkpoint import Checkpoint


def build_diffusion(
    pretraining: dict,
    patches: PatchPool,
    prior: Prior,
    store: Store,
    device: torch.device,
    checkpoint: Callable[[str, dict], Checkpoint],
) -> LatentDiT:
    """DiT-XL/2 if ``pretraining`` is empty, else a small one trained with these settings on the patches' codes.

    Raises WeightsMissing if DiT-XL/2 is neither at hand nor to be fetched; what ``pretrain`` raises.
    """
    if not pretraining:
        return pretrained_dit(download=True).to(device)
    images = patches.images()
    spec = {
        "code": code_digest(pretrain),
        "settings": plain(pretraining),
        "patches": plain(images),
        "labels": plain(patches.label),
        "prior": plain(prior),
        "device": device.type,
    }

    def make():
        data = encode_patches(prior, images, patches.label, device=device)
        model, history = pretrain(
            data, generator=generator_for(0, "diffusion"), device=device, checkpoint=checkpoint("diffusion", spec),
            **pretraining,
        )  # fmt: skip
        return {"history": history}, lambda path: model.save(Path(path))

    return load_dit(store.fetch("diffusion", spec, make).tensors).to(device)
