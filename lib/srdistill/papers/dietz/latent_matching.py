"""Gradient matching in the latent space of a generator (Dietz et al., section 3.2; GLaD, Cazenavette et al. 2023).

As ``gradient_matching``, but what moves are codes: images are what a frozen generator makes of them, and the gradient
with respect to the images goes on into the codes. Codes never meet each other, so a group of classes goes through at
a time, and the generator's graph exists for ``code_chunk`` codes only, however many classes there are.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from srdistill.images.crops import d4, undo_d4
from srdistill.images.pictures import Pictures, to_uint8
from srdistill.papers.dietz.class_gradients import match
from srdistill.papers.dietz.real_gradients import RealGradients
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import codes_of
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import check_codes, frozen, render_all
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.starts import start_set
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

OPTIMIZERS = ("adam", "sgd")


@dataclass
class _State:
    """What an iteration changes: all that a checkpoint holds."""

    codes: Tensor
    optimizer: dict = field(default_factory=dict)
    step: int = 0
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"distance": [], "min": [], "mean": [], "max": [], "moved": []}
    )
    snapshots: dict[int, Tensor] = field(default_factory=dict)


def latent_matching(
    real: Pictures,
    *,
    ipc: int,
    size: int,
    generator: torch.Generator,
    prior: Prior,
    start: DistilledSet,
    network: dict | nn.Module | None = None,
    scale: int = 2,
    iterations: int = 1000,
    lr: float = 0.01,
    optimizer: str = "adam",
    momentum: float = 0.5,
    distance: str = "rows",
    crop: int = 480,
    step: int = 240,
    batch_real: int = 256,
    flips: bool = True,
    code_chunk: int = 10,
    snapshots: int = 6,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` images per picture, rendered from codes whose images' gradients match those of the picture's sub-images.

    The rendered images are the set (``generator_bytes`` 0), and it carries the codes along, as that of ``gan_inversion`` does.

    Args:
        prior: decodes the codes; never changed.
        start: what ``gan_inversion`` returned for the same pictures, ``ipc``, ``size`` and prior. If it tuned the generator,
            the tuned one decodes.
        network: as in ``gradient_matching``; the paper's latent sets are matched on a trained SRCNN, which stays fixed.
        lr, optimizer, momentum: ``adam`` (betas ``momentum`` and 0.999), or ``sgd`` as in GLaD (lr 1, momentum 0.5). In
            units of the codes: Adam moves each value by about ``lr`` per iteration, whatever the number of pixels.
        distance, crop, step, batch_real, flips, snapshots: as in ``gradient_matching``.
        code_chunk: how many codes the generator decodes at a time with a graph; memory grows with it, results do not change.

    History: ``distance``; ``min``, ``mean``, ``max`` of the images, all before each step; ``moved``, after it: how far the
    codes are from the start, as a share of the norm of the start.

    Raises:
        Diverged: the distance, a gradient or a code became NaN. PriorError: codes of the wrong shape or with NaN, or of
        another prior. SetError: the start does not fit, or carries no codes.
        PictureError: a picture is smaller than ``size`` or ``crop``. ValueError: impossible settings.
    """
    if iterations < 1 or code_chunk < 1 or ipc < 1:
        raise ValueError(f"iterations, code_chunk and ipc must be 1 or more, got {iterations}, {code_chunk} and {ipc}")
    if not (0 <= lr < math.inf and 0 <= momentum < 1):
        raise ValueError(f"lr must be finite and not negative and momentum in [0, 1), got {lr} and {momentum}")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {optimizer!r}; there are: {', '.join(OPTIMIZERS)}")
    prior.check_size(size)
    device, seed, classes = torch.device(device), generator.initial_seed(), len(real)
    source = RealGradients(real, network, scale, distance, crop, step, size, batch_real, seed, device)
    codes, prior = codes_of(start_set(real, start, ipc=ipc, size=size, generator=generator), prior)
    prior.to(device)
    check_codes(prior, codes, classes * ipc, size)
    begin = codes.detach().to(device, torch.float32)
    state = _State(begin.clone())
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        state = _State(**{**saved, "codes": saved["codes"].to(device)})
    state.codes.requires_grad_()
    if optimizer == "adam":
        stepper = torch.optim.Adam([state.codes], lr=lr, betas=(momentum, 0.999))
    else:
        stepper = torch.optim.SGD([state.codes], lr=lr, momentum=momentum)
    if state.optimizer:
        stepper.load_state_dict(state.optimizer)
    kept = {round(k * iterations / (snapshots - 1)) for k in range(snapshots)} if snapshots > 1 else {iterations}

    with frozen(prior):

        def snapshot() -> Tensor:
            return to_uint8(render_all(prior, state.codes.detach()[::ipc][:8], code_chunk)).cpu()

        if state.step == 0 and 0 in kept:
            state.snapshots[0] = snapshot()
        label = f"matching gradients of codes, IPC {ipc}"
        for k in bar(range(state.step, iterations), label, total=iterations, initial=state.step):
            element = int(torch.randint(8, (), generator=generator_for(seed, "flip", k))) if flips else 0
            net, weights = source.network(k)
            targets = source.gradients(net, weights, k, 0, element)
            matcher = CodeMatcher(net, weights, targets, scale, distance, element, ipc)
            values, gradient, images = code_gradients(prior, state.codes.detach(), matcher, ipc, code_chunk)
            if not bool(torch.isfinite(values).all() & torch.isfinite(gradient).all()):
                raise Diverged(f"distance or gradient became NaN in iteration {k}; lower lr ({lr})")
            state.codes.grad = gradient
            stepper.step()
            if not bool(torch.isfinite(state.codes).all()):
                bad = int((~torch.isfinite(state.codes.detach())).flatten(1).any(1).nonzero()[0])
                raise Diverged(f"code {bad} ({real.names[bad // ipc]}) became NaN in iteration {k}; lower lr ({lr})")
            state.step = k + 1
            moved = (state.codes.detach() - begin).norm() / begin.norm().clamp(min=1e-12)
            for name, value in {"distance": values.mean(), **images, "moved": moved}.items():
                state.history[name].append(float(value))
            if k + 1 in kept:
                state.snapshots[k + 1] = snapshot()
            if checkpoint and checkpoint.due(k + 1) and k + 1 < iterations:
                checkpoint.save(dict(vars(state)) | {"codes": state.codes.detach(), "optimizer": stepper.state_dict()})
        rendered = render_all(prior, state.codes.detach(), code_chunk)
    if not bool(torch.isfinite(rendered).all()):
        raise Diverged(f"the images became NaN in the last iteration; lower lr ({lr})")
    if checkpoint:
        checkpoint.clear()
    return DistilledSet(
        to_uint8(rendered).cpu(),
        torch.arange(classes).repeat_interleave(ipc),
        real.names,
        "latent_matching",
        {
            "ipc": ipc, "size": size, "prior": prior.name, "prior_bytes": prior.bytes,
            "start": {name: value for name, value in start.settings.items() if name != "psnr"},
            "scale": scale, "network": "trained and fixed" if isinstance(network, nn.Module) else source.settings,
            "iterations": iterations, "lr": lr, "optimizer": optimizer, "momentum": momentum, "distance": distance,
            "crop": crop, "step": step, "flips": flips, "code_values": begin[0].numel(),
        },
        state.history,
        state.snapshots,
        latents=start.latents | {"codes": state.codes.detach().cpu()},
    )  # fmt: skip


@dataclass(frozen=True)
class CodeMatcher:
    """Distance and image gradient of some classes: ``match`` under the iteration's flip."""

    net: nn.Module
    weights: tuple
    targets: list[Tensor]
    scale: int
    distance: str
    element: int
    ipc: int

    def __call__(self, images: Tensor, classes: slice) -> tuple[Tensor, Tensor]:
        """``images``: (c * ipc, 3, H, W), those of the ``classes``; returns (c,) and the shape of ``images``."""
        synthetic = d4(images.unflatten(0, (-1, self.ipc)), self.element)
        targets = [tensor[classes] for tensor in self.targets]
        values, gradient = match(self.net, self.weights, synthetic, targets, self.scale, self.distance)
        return values, undo_d4(gradient, self.element).flatten(0, 1)
