"""Generators of latent space as tasks and resources: trained on pictures, or published weights."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from srdistill.needs import Need, needing
from srdistill.priors.autoencoder import AutoencoderRecipe, train_autoencoder
from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.stable_diffusion import SD_VAE, load_sd_vae
from srdistill.priors.stylegan_stand_in import style_stand_in
from srdistill.priors.stylegan_xl import IMAGENET512, REQUIREMENTS, load_stylegan_xl
from srdistill.priors.tiny_autoencoder import TAEF2_DECODER, TAEF2_ENCODER, load_taef2
from srdistill.rehearsing import or_random, rehearsing
from srdistill.study.engine.tasks import Resource, Task
from srdistill.study.steps.priors import PRIOR
from srdistill.weights import WeightsMissing

TRAINED = "autoencoder"
# Opening a pickle runs the code inside it: naming the hash of the file that one trusts is how one agrees to that.
TRUSTED_PICKLE = "SRDISTILL_STYLEGAN_XL_SHA256"
STYLEGAN_CODE = "SRDISTILL_STYLEGAN_XL_CODE"


def _stylegan_xl_needs(sha256: str) -> list[Need]:
    """The checkpoint, the consent to open it, and the code that it asks for: see ``priors.stylegan_xl``."""
    code, trusted = os.environ.get(STYLEGAN_CODE), sha256
    timm = find_spec("timm")
    return [
        IMAGENET512.need(download=True),
        Need("consent to open StyleGAN-XL's pickle", (Path(trusted),) if trusted else (), "a decision of yours",
             remedy=f"set {TRUSTED_PICKLE} to the SHA-256 of the file that you trust"),
        Need("StyleGAN-XL's code", (Path(code),) if code and Path(code).is_dir() else (),
             "https://github.com/autonomousvision/stylegan-xl", remedy=f"clone it, and set {STYLEGAN_CODE} to its folder"),
        Need("timm, which StyleGAN-XL's pickle imports", (Path(timm.origin),) if timm else (), "https://pypi.org/project/timm",
             remedy="pip install timm==0.4.12; on a GPU also ninja, a C++ compiler and the CUDA toolkit, to compile operators"),
    ]  # fmt: skip


@needing(_stylegan_xl_needs)
@or_random(style_stand_in)
def stylegan_xl(sha256: str) -> Prior:
    """StyleGAN-XL, from the pickle of this hash, which its user has agreed to open. Raises PriorError before that,
    WeightsMissing."""
    if not sha256 and rehearsing():
        raise WeightsMissing("no pickle is trusted")
    if not sha256:
        raise PriorError(
            f"StyleGAN-XL comes as a pickle, and opening one runs any code inside it with your rights. If you trust the "
            f"file, set {TRUSTED_PICKLE} to its SHA-256, and {STYLEGAN_CODE} to a checkout of StyleGAN-XL's repository. "
            + REQUIREMENTS
        )
    return load_stylegan_xl(sha256=sha256, trust_pickle=True, code=os.environ.get(STYLEGAN_CODE), download=True, layer=None)


@needing(lambda: [SD_VAE["ema"].need(download=True)])
def sd_vae() -> Prior:
    """Stable Diffusion's autoencoder, fetched if need be."""
    return load_sd_vae(download=True)


@needing(lambda: [TAEF2_ENCODER.need(download=True), TAEF2_DECODER.need(download=True)])
def taef2() -> Prior:
    """TAEF2, fetched if need be."""
    return load_taef2(download=True)


LOADERS: dict[str, Callable[..., Prior]] = {"sd_vae": sd_vae, "taef2": taef2, "stylegan_xl": stylegan_xl}


def generator(kind: str, recipe: AutoencoderRecipe | None, pictures: Resource, device: str) -> Task | Resource:
    """The prior ``kind``: one of ``LOADERS``, or ``autoencoder``, trained on the pictures by ``recipe``, the same for all
    seeds.

    Raises ValueError for an unknown kind.
    """
    if kind in LOADERS:
        # Which pickle is trusted counts, and a worker elsewhere has to know it.
        return Resource(LOADERS[kind], {"sha256": os.environ.get(TRUSTED_PICKLE, "")} if kind == "stylegan_xl" else {})
    if kind != TRAINED:
        raise ValueError(f"unknown generator {kind!r}; there are: {', '.join([TRAINED, *LOADERS])}")
    return Task(PRIOR, train_autoencoder, {"pictures": pictures, "recipe": recipe}, 0, device, label="the generator")
