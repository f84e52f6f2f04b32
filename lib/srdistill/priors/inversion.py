"""GAN inversion: the codes with which a generator comes closest to given pictures.

Dietz et al. (section 3.2) start their latent distillation from inverted sub-images, with pivotal tuning (Roich et al. 2022: the
generator itself is adapted afterwards, the codes being fixed). What that does to super-resolution: the public codes
compare pictures that were shrunk to 256 px, so the octave that an x2 network has to learn is never looked at.
``published`` does as they do; ``highpass`` compares at full size and once more in the upper octave.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.images.pictures import PictureError, Pictures, to_uint8
from srdistill.measures.metrics import psnr
from srdistill.priors.inversion_loss import Perceptual, inversion_loss
from srdistill.priors.inversion_phases import FittedCodes, Tuning
from srdistill.priors.inversion_recipe import InversionRecipe
from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.rendering import frozen, render_all
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.starts import start_set
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged
from srdistill.training.resumable import resumable

# Before the names of a tuned generator's weights in ``DistilledSet.latents``.
_TUNED = "tuned."


@dataclass(frozen=True)
class Inversion:
    """Codes of N pictures and what they render.

    ``codes``: float (N, *code_shape), on the CPU. ``prior``: decodes them; the one given, or its tuned copy. ``images``:
    ``uint8`` (N, 3, size, size). ``psnr``: float64 (N,), dB against the pictures. ``history``: mean losses over the
    iterations of the ``codes`` and over those of the ``tuning``. ``settings``: how it was made, JSON values.
    """

    codes: Tensor
    prior: Prior
    images: Tensor
    psnr: Tensor
    history: dict[str, list[float]]
    settings: dict


def invert(
    prior: Prior,
    images: Tensor,
    *,
    recipe: InversionRecipe = InversionRecipe(),
    perceptual: Perceptual | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> Inversion:
    """Find a code for each picture, and adapt the generator to them if asked.

    Every picture has an optimiser state and a loss of its own (Adam from ``prior.encode``), so the result does not
    depend on which pictures share a batch, up to rounding.

    Args:
        prior: left as it is; tuning works on a copy.
        images: (N, 3, size, size), ``uint8`` or float in [0, 1].
        perceptual: a differentiable distance of two float batches in [-1, 1], e.g. ``Lpips("vgg").model``, added with the
            weight of the ``recipe``.

    Raises:
        Diverged: NaN or infinity; names picture and iteration. PictureError: images of the wrong shape or range.
        PriorError: the prior's codes have the wrong shape.
    """
    _check_images(images)
    prior.check_size(images.shape[-1])
    device = torch.device(device)
    prior.to(device)
    objective = inversion_loss(recipe.loss, perceptual, recipe.perceptual_weight)

    fitted = FittedCodes(prior, images, objective, recipe, device)
    first, label = checkpoint and checkpoint.part("codes"), f"inverting {len(images)} pictures"
    with frozen(prior):
        for step in resumable(fitted.steps, label, first, fitted.state, fitted.restore, keep=True):
            fitted.step(step)
    losses = {"codes": fitted.history, "tuning": []}
    if recipe.tuning_iterations:
        prior = copy.deepcopy(prior).eval()
        tuning = Tuning(prior, fitted.codes, images, objective, recipe)
        label, steps = "tuning the generator", recipe.tuning_iterations
        for step in resumable(steps, label, checkpoint, tuning.state, tuning.restore):
            tuning.step(step)
        prior.requires_grad_(False)
        losses["tuning"] = tuning.history
    if checkpoint:
        checkpoint.clear()
    return _rendered(prior, fitted.codes, images, losses, recipe, perceptual is not None)


def _rendered(
    prior: Prior, codes: Tensor, images: Tensor, losses: dict[str, list[float]], recipe: InversionRecipe, perceived: bool
) -> Inversion:
    with frozen(prior):
        rendered = render_all(prior, codes, recipe.batch)
    if not bool(torch.isfinite(codes).all() & torch.isfinite(rendered).all()):
        raise Diverged(f"the last step made the generator render NaN; lower lr ({recipe.lr}) or tuning_lr ({recipe.tuning_lr})")
    stored = to_uint8(rendered).cpu()
    return Inversion(
        codes.cpu(), prior, stored, psnr(stored, images.cpu()), losses,
        {
            "prior": prior.name, "loss": recipe.loss, "iterations": recipe.iterations, "lr": recipe.lr,
            "tuning_iterations": recipe.tuning_iterations, "tuning_lr": recipe.tuning_lr if recipe.tuning_iterations else 0.0,
            "perceptual_weight": recipe.perceptual_weight if perceived else 0.0,
        },
    )  # fmt: skip


def gan_inversion(
    real: Pictures,
    *,
    ipc: int,
    size: int,
    generator: torch.Generator,
    prior: Prior,
    start: str | DistilledSet = "real",
    recipe: InversionRecipe = InversionRecipe(),
    perceptual: Perceptual | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """What a generator makes of real sub-images, undistilled: "Baseline (GAN inversion)" of Dietz et al., table 4.

    ``ipc`` crops of ``size`` px per picture are inverted and rendered again. With the same ``generator`` they are the crops
    that ``random_crops`` returns, so the two rows differ by the generator alone.

    The rendered images are the set (``generator_bytes`` 0). For ``latent_matching``, which starts here, the set carries the
    codes along, and whatever weights of the generator the tuning changed.

    Args:
        start: which images to invert: ``real`` (crops, as in the paper), ``downscaled``, or a set of one's own.
        recipe, perceptual: as in ``invert``.

    Raises:
        What ``invert`` raises; PictureError too if a picture is smaller than ``size``.
    """
    prior.check_size(size)
    images = start_set(real, start, ipc=ipc, size=size, generator=generator).images
    found = invert(prior, images, recipe=recipe, perceptual=perceptual, device=device, checkpoint=checkpoint)
    before = prior.state_dict()
    tuned = {name: weight for name, weight in found.prior.state_dict().items() if not torch.equal(weight, before[name])}
    return DistilledSet(
        found.images,
        torch.arange(len(real)).repeat_interleave(ipc),
        real.names,
        "gan_inversion",
        {
            "ipc": ipc, "size": size, "start": start if isinstance(start, str) else start.method, **found.settings,
            "prior_bytes": prior.bytes, "psnr": [round(value, 3) for value in found.psnr.tolist()],
        },
        found.history,
        latents={"codes": found.codes} | {f"{_TUNED}{name}": weight.cpu() for name, weight in tuned.items()},
    )  # fmt: skip


def codes_of(inverted: DistilledSet, prior: Prior) -> tuple[Tensor, Prior]:
    """The codes (N, *code_shape) that a set of ``gan_inversion`` carries, and what decodes them: ``prior`` or its tuned copy.

    Raises:
        SetError: the set carries no codes. PriorError: its generator was tuned and has other weights than ``prior``.
    """
    if "codes" not in inverted.latents:
        raise SetError(f"the set to start from ({inverted.method}) carries no codes; make it with gan_inversion")
    tuned = {name.removeprefix(_TUNED): weight for name, weight in inverted.latents.items() if name.startswith(_TUNED)}
    if tuned:
        known = prior.state_dict()
        strange = [name for name, weight in tuned.items() if name not in known or known[name].shape != weight.shape]
        if strange:
            raise PriorError(
                f"{prior.name} has no weights {strange[0]} of shape {tuple(tuned[strange[0]].shape)}: the set was inverted "
                f"with {inverted.settings.get('prior')}; give that prior"
            )
        prior = copy.deepcopy(prior)
        prior.load_state_dict(tuned, strict=False)
    return inverted.latents["codes"], prior


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3] or not len(images):
        raise PictureError(f"images to invert must be square, (N, 3, size, size), got {tuple(images.shape)}; crop them first")
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point() or not bool(((images >= 0) & (images <= 1)).all()):  # false for NaN as well
        raise PictureError(f"images to invert must be uint8 or floats in [0, 1] without NaN, got {images.dtype}")
