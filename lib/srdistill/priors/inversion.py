"""GAN inversion: the codes with which a generator comes closest to given pictures.

Dietz et al. (section 3.2) start their latent distillation from inverted sub-images, with pivotal tuning (Roich et al. 2022: the
generator itself is adapted afterwards, the codes being fixed). What that does to super-resolution: the public codes
compare pictures that were shrunk to 256 px, so the octave that an x2 network has to learn is never looked at.
``published`` does as they do; ``highpass`` compares at full size and once more in the upper octave.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from srdistill.images.metrics import psnr
from srdistill.images.pictures import PictureError, Pictures, to_float, to_uint8
from srdistill.images.spectrum import high_pass
from srdistill.priors.prior import Prior, PriorError
from srdistill.priors.rendering import check_codes, frozen, render_all
from srdistill.progress import bar
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.starts import start_set
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

LOSSES = ("published", "highpass")
# Before the names of a tuned generator's weights in ``DistilledSet.latents``.
_TUNED = "tuned."
# The public codes show their losses pictures of this side.
_SEEN = 256

Perceptual = Callable[[Tensor, Tensor], Tensor]


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


@dataclass
class _State:
    """What an iteration changes: all that a checkpoint holds. ``weights``: those of the tuned generator."""

    codes: Tensor
    step: int = 0
    tuned: int = 0
    optimizer: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)


def invert(
    prior: Prior,
    images: Tensor,
    *,
    loss: str = "highpass",
    iterations: int = 200,
    lr: float = 0.02,
    tuning_iterations: int = 0,
    tuning_lr: float = 3e-4,
    perceptual: Perceptual | None = None,
    perceptual_weight: float = 1.0,
    batch: int = 16,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> Inversion:
    """Find a code for each picture, and adapt the generator to them if asked.

    Every picture has an optimiser state and a loss of its own (Adam from ``prior.encode``), so the result does not
    depend on which pictures share a batch, up to rounding.

    Args:
        prior: left as it is; tuning works on a copy.
        images: (N, 3, size, size), ``uint8`` or float in [0, 1].
        loss: ``published``: MSE in [-1, 1] units of both pictures area-downsampled to 256 px, or to half their size if
            that is less (protocol notes 4.1 and 4.2: PTI, StyleGAN-XL's run_inversion; those use VGG-LPIPS alone in the
            first stage, so give ``perceptual`` to come near). ``highpass``: at full size,
            mean |x - y| + mean |H(x - y)| with H = 1 - U2 D2 (4.3).
        iterations, lr: steps per picture and peak rate, in units of the code; it rises over the first 5 % and falls
            along a cosine over the last 25 %, as in StyleGAN's projector.
        tuning_iterations, tuning_lr: Adam steps on the generator's weights, ``batch`` pictures each, in turn. PTI makes
            one generator per picture, 350 steps each; here one serves all: a generator per image makes no small set.
        perceptual: a differentiable distance of two float batches in [-1, 1], e.g. ``Lpips("vgg").model``, added with its
            weight.
        batch: pictures at a time; memory grows with it, results do not change.

    Raises:
        Diverged: NaN or infinity; names picture and iteration. PictureError: images of the wrong shape or range.
        PriorError: the prior's codes have the wrong shape. ValueError: impossible settings.
    """
    if iterations < 1 or batch < 1 or tuning_iterations < 0:
        raise ValueError(
            f"iterations and batch must be 1 or more and tuning_iterations 0 or more, got {iterations}, {batch} and "
            f"{tuning_iterations}"
        )
    if not (0 <= lr < math.inf and 0 <= tuning_lr < math.inf):
        raise ValueError(f"lr and tuning_lr must be finite and not negative, got {lr} and {tuning_lr}")
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; there are: {', '.join(LOSSES)}")
    _check_images(images)
    count, size = len(images), images.shape[-1]
    prior.check_size(size)
    shape = prior.code_shape(size)
    device = torch.device(device)
    prior.to(device)
    objective = _objective(loss, perceptual, perceptual_weight)

    state = _State(torch.zeros(count, *shape), history={"codes": [0.0] * iterations, "tuning": []})
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        state = _State(**saved)
    state.codes = state.codes.to(device)

    def save():
        if checkpoint:
            checkpoint.save(dict(vars(state)))

    with frozen(prior):
        _fit_codes(prior, images, state, objective, iterations, lr, batch, checkpoint, save)
    if tuning_iterations:
        prior = copy.deepcopy(prior).eval()
        _tune(prior, images, state, objective, tuning_iterations, tuning_lr, batch, checkpoint, save)
    with frozen(prior):
        rendered = render_all(prior, state.codes, batch)
    if not bool(torch.isfinite(state.codes).all() & torch.isfinite(rendered).all()):
        raise Diverged(f"the last step made the generator render NaN; lower lr ({lr}) or tuning_lr ({tuning_lr})")
    if checkpoint:
        checkpoint.clear()
    stored = to_uint8(rendered).cpu()
    return Inversion(
        state.codes.cpu(), prior, stored, psnr(stored, images.cpu()), state.history,
        {
            "prior": prior.name, "loss": loss, "iterations": iterations, "lr": lr,
            "tuning_iterations": tuning_iterations, "tuning_lr": tuning_lr if tuning_iterations else 0.0,
            "perceptual_weight": perceptual_weight if perceptual else 0.0,
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
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    **inversion,
) -> DistilledSet:
    """What a generator makes of real sub-images, undistilled: "Baseline (GAN inversion)" of Dietz et al., table 4.

    ``ipc`` crops of ``size`` px per picture are inverted and rendered again. With the same ``generator`` they are the crops
    that ``random_crops`` returns, so the two rows differ by the generator alone.

    The rendered images are the set (``generator_bytes`` 0). For ``latent_matching``, which starts here, the set carries the
    codes along, and whatever weights of the generator the tuning changed.

    Args:
        start: which images to invert: ``real`` (crops, as in the paper), ``downscaled``, or a set of one's own.
        inversion: the settings of ``invert``.

    Raises:
        What ``invert`` raises; PictureError too if a picture is smaller than ``size``.
    """
    prior.check_size(size)
    images = start_set(real, start, ipc=ipc, size=size, generator=generator).images
    found = invert(prior, images, device=device, checkpoint=checkpoint, **inversion)
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
    """The codes that a set of ``gan_inversion`` carries, and the generator that decodes them: ``prior`` or its tuned copy.

    Raises:
        SetError: the set carries no codes. PriorError: its generator was tuned and has other weights than ``prior``.
    """
    if "codes" not in inverted.latents:
        raise SetError(f"the set to start from ({inverted.method}) carries no codes; make it with gan_inversion")
    tuned = {
        name.removeprefix(_TUNED): weight for name, weight in inverted.latents.items() if name.startswith(_TUNED)
    }
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


def _batch(images: Tensor, chosen: slice | Tensor, device: torch.device) -> Tensor:
    part = images[chosen].to(device)
    return to_float(part) if part.dtype == torch.uint8 else part.float()


def _objective(loss: str, perceptual: Perceptual | None, weight: float) -> Perceptual:
    """The loss per picture, (n,), of float images (n, 3, size, size) made and wanted."""

    def objective(made: Tensor, wanted: Tensor) -> Tensor:
        if loss == "published":
            side = min(_SEEN, made.shape[-1] // 2)
            made, wanted = (F.interpolate(images, (side, side), mode="area") for images in (made, wanted))
            value = 4 * (made - wanted).square().mean((1, 2, 3))
        else:
            difference = made - wanted
            value = difference.abs().mean((1, 2, 3)) + high_pass(difference).abs().mean((1, 2, 3))
        if perceptual is not None:
            value = value + weight * perceptual(made * 2 - 1, wanted * 2 - 1).flatten()
        return value

    return objective


def _ramp(k: int, iterations: int) -> float:
    """The rate of iteration ``k`` as a share of the peak; never 0."""
    t = (k + 1) / (iterations + 1)
    return min(1.0, t / 0.05) * 0.5 * (1 - math.cos(math.pi * min(1.0, (1 - t) / 0.25)))


def _fit_codes(prior, images, state, objective, iterations, lr, batch, checkpoint, save) -> None:
    """Batch after batch; ``state.step`` counts the steps of all batches."""
    count, size, device = len(images), images.shape[-1], state.codes.device
    total = -(-count // batch) * iterations
    leaf = None
    for step in bar(range(state.step, total), f"inverting {count} pictures", total=total, initial=state.step):
        part, k = divmod(step, iterations)
        chosen = slice(part * batch, min(count, (part + 1) * batch))
        if leaf is None or k == 0:
            wanted = _batch(images, chosen, device)
            if k == 0:
                begin = prior.encode(wanted).detach().float()
                check_codes(prior, begin, len(wanted), size)
            else:
                begin = state.codes[chosen]
            leaf = begin.clone().requires_grad_()
            optimizer = torch.optim.Adam([leaf], lr=lr)
            if k:
                optimizer.load_state_dict(state.optimizer)
        for group in optimizer.param_groups:
            group["lr"] = lr * _ramp(k, iterations)
        values = objective(prior.decode(leaf), wanted)
        _check_finite(values.detach(), chosen, "loss", f"iteration {k} of the codes; lower lr ({lr})")
        (leaf.grad,) = torch.autograd.grad(values.sum(), leaf)
        optimizer.step()
        _check_finite(leaf.detach().flatten(1).sum(1), chosen, "code", f"iteration {k} of the codes; lower lr ({lr})")
        state.history["codes"][k] += float(values.detach().sum()) / count
        state.step = step + 1
        due = bool(checkpoint) and checkpoint.due(step + 1)
        if due or k + 1 == iterations:
            state.codes[chosen] = leaf.detach()
        if due:
            state.optimizer = optimizer.state_dict()
            save()
    state.optimizer = state.optimizer if state.tuned else {}


def _tune(prior, images, state, objective, iterations, lr, batch, checkpoint, save) -> None:
    """Pivotal tuning: the codes stay, the weights move. Weights that decoding does not use get no gradient and stay."""
    prior.requires_grad_(True)
    optimizer = torch.optim.Adam(prior.parameters(), lr=lr)
    if state.weights:
        prior.load_state_dict(state.weights)
    if state.optimizer:
        optimizer.load_state_dict(state.optimizer)
    count = len(images)
    for k in bar(range(state.tuned, iterations), "tuning the generator", total=iterations, initial=state.tuned):
        chosen = (torch.arange(min(batch, count)) + k * batch) % count
        values = objective(prior.decode(state.codes[chosen]), _batch(images, chosen, state.codes.device))
        _check_finite(values.detach(), chosen, "loss", f"iteration {k} of the tuning; lower tuning_lr ({lr})")
        optimizer.zero_grad(set_to_none=True)
        values.mean().backward()
        optimizer.step()
        state.history["tuning"].append(float(values.detach().mean()))
        state.tuned = k + 1
        if k + 1 == iterations or (checkpoint and checkpoint.due(k + 1)):
            state.weights, state.optimizer = prior.state_dict(), optimizer.state_dict()
            if k + 1 < iterations:
                save()
    prior.requires_grad_(False)


def _check_finite(values: Tensor, chosen: slice | Tensor, what: str, where: str) -> None:
    bad = (~torch.isfinite(values)).nonzero().flatten().tolist()
    if bad:
        index = bad[0] + chosen.start if isinstance(chosen, slice) else int(chosen[bad[0]])
        raise Diverged(f"the {what} of picture {index} became {float(values[bad[0]])} in {where}")
