"""The generator of a profile: trained on the training pictures and kept in the store, or loaded from pretrained weights."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from srdistill.images.pictures import Pictures
from srdistill.priors.autoencoder import load_autoencoder, train_autoencoder
from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.stable_diffusion import load_sd_vae
from srdistill.priors.stylegan_xl import load_stylegan_xl
from srdistill.priors.tiny_autoencoder import load_taef2, load_taesd
from srdistill.seeds import generator_for
from srdistill.study.identity import code_digest, plain
from srdistill.study.store import Store
from srdistill.training.checkpoint import Checkpoint

TRAINED = "autoencoder"
# Opening a pickle runs the code inside it: naming the hash of the file that one trusts is how one agrees to that.
TRUSTED_PICKLE = "SRDISTILL_STYLEGAN_XL_SHA256"
STYLEGAN_CODE = "SRDISTILL_STYLEGAN_XL_CODE"


def _stylegan_xl(**settings) -> Prior:
    trusted = os.environ.get(TRUSTED_PICKLE)
    if not trusted:
        raise PriorError(
            f"StyleGAN-XL comes as a pickle, and opening one runs any code inside it with your rights. If you trust the "
            f"file, set {TRUSTED_PICKLE} to its SHA-256, and {STYLEGAN_CODE} to a checkout of StyleGAN-XL's repository"
        )
    code = os.environ.get(STYLEGAN_CODE)
    return load_stylegan_xl(sha256=trusted, trust_pickle=True, code=code, download=True, **settings)


_LOADERS: dict[str, Callable[..., Prior]] = {
    "sd_vae": lambda: load_sd_vae(download=True),
    "taesd": lambda: load_taesd(download=True),
    "taef2": lambda: load_taef2(download=True),
    "stylegan_xl": _stylegan_xl,
}


def build_generator(
    kind: str,
    settings: dict,
    pictures: Pictures,
    store: Store,
    device: torch.device,
    checkpoint: Callable[[str, dict], Checkpoint],
) -> tuple[Prior, float]:
    """The prior ``kind`` on ``device``, and the seconds that training it took (0: it came trained).

    ``settings``: of ``train_autoencoder``, or of the loader.

    The trained one depends on nothing but the pictures and its settings, and is the same for all seeds of a study.

    Raises:
        ValueError: unknown kind. WeightsMissing, PriorError: pretrained weights that are not there, or cannot be used.
    """
    if kind in _LOADERS:
        return _LOADERS[kind](**settings).to(device), 0.0
    if kind != TRAINED:
        raise ValueError(f"unknown generator {kind!r}; there are: {', '.join([TRAINED, *_LOADERS])}")
    spec = {
        "code": code_digest(train_autoencoder),
        "settings": plain(settings),
        "pictures": pictures.digest,
        "device": device.type,
    }

    def make():
        made = train_autoencoder(
            pictures, generator=generator_for(0, "prior"), device=device, checkpoint=checkpoint("priors", spec), **settings
        )
        return {"history": made.history}, lambda path: made.save(Path(path))

    entry = store.fetch("priors", spec, make)
    return load_autoencoder(entry.tensors).to(device), entry.seconds
