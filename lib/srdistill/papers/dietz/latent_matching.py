"""Gradient matching in the latent space of a generator (Dietz et al., section 3.2; GLaD, Cazenavette et al. 2023).

As ``gradient_matching``, but what moves are codes: images are what a frozen generator makes of them, and the gradient
with respect to the images goes on into the codes. Codes never meet each other, so a group of classes goes through at
a time, and the generator's graph exists for ``code_chunk`` codes only, however many classes there are.

GLaD moves the features F_n by SGD at 1 and the vectors w at 0.001, which almost keeps them. Dietz et al. name neither space
nor rate; here all values of a code share one optimiser and one rate, and for StyleGAN-XL the code is W+, each vector by itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srdistill.images.crops import d4, undo_d4
from srdistill.images.pictures import Pictures, to_uint8
from srdistill.papers.dietz.class_gradients import match
from srdistill.papers.dietz.real_gradients import RealGradients
from srdistill.papers.dietz.record import Record
from srdistill.papers.dietz.settings import LatentMatching, optimizer_of
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import codes_of
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import check_codes, frozen, render_all
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.starts import start_set
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged
from srdistill.training.resumable import resumable


def latent_matching(
    real: Pictures,
    *,
    ipc: int,
    size: int,
    generator: torch.Generator,
    prior: Prior,
    start: DistilledSet,
    network: dict | nn.Module | None = None,
    matching: LatentMatching = LatentMatching(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` images of ``size`` px per picture, rendered from codes whose images' gradients match those of the picture's
    sub-images.

    The rendered images are the set (``generator_bytes`` 0), and it carries the codes along, as that of ``gan_inversion`` does.

    Args:
        prior: decodes the codes; never changed.
        start: what ``gan_inversion`` returned for the same pictures, ``ipc``, ``size`` and prior. If it tuned the generator,
            the tuned one decodes.
        network: as in ``gradient_matching``; the paper's latent sets are matched on a trained SRCNN, which stays fixed.

    History: ``distance``; ``min``, ``mean``, ``max`` of the images, all before each step; ``moved``, after it: how far the
    codes are from the start, as a share of the norm of the start.

    Raises:
        Diverged: the distance, a gradient or a code became NaN. PriorError: codes of the wrong shape or with NaN, or of
        another prior. SetError: the start does not fit, or carries no codes.
        PictureError: a picture is smaller than ``size`` or ``matching.crop``. ValueError: ``ipc`` below 1.
    """
    if ipc < 1:
        raise ValueError(f"ipc must be 1 or more, got {ipc}")
    prior.check_size(size)
    device, classes = torch.device(device), len(real)
    source = RealGradients(real, network, matching, size=size, seed=generator.initial_seed(), device=device)
    codes, prior = codes_of(start_set(real, start, ipc=ipc, size=size, generator=generator), prior)
    prior.to(device)
    check_codes(prior, codes, classes * ipc, size)
    moving = _Codes(codes.detach().to(device, torch.float32), prior, source, matching, ipc)
    label = f"matching gradients of codes, IPC {ipc}"
    with frozen(prior):
        for k in resumable(matching.iterations, label, checkpoint, moving.state, moving.restore):
            moving.step(k)
        moving.look(matching.iterations)
        rendered = render_all(prior, moving.codes.detach(), matching.code_chunk)
    if not bool(torch.isfinite(rendered).all()):
        raise Diverged(f"the images became NaN in the last iteration; lower lr ({matching.lr})")
    return DistilledSet(
        to_uint8(rendered).cpu(),
        torch.arange(classes).repeat_interleave(ipc),
        real.names,
        "latent_matching",
        {
            "ipc": ipc, "size": size, "prior": prior.name, "prior_bytes": prior.bytes,
            "start": {name: value for name, value in start.settings.items() if name != "psnr"},
            "scale": matching.scale, "network": source.described, "iterations": matching.iterations, "lr": matching.lr,
            "optimizer": matching.optimizer, "momentum": matching.momentum, "distance": matching.distance,
            "crop": matching.crop, "step": matching.step, "flips": matching.flips, "code_values": codes[0].numel(),
        },
        moving.record.history,
        moving.record.snapshots,
        latents=start.latents | {"codes": moving.codes.detach().cpu()},
    )  # fmt: skip


class _Codes:
    """The codes (C * ipc, *code_shape) on their way: all that an iteration changes."""

    def __init__(self, begin: Tensor, prior: Prior, source: RealGradients, matching: LatentMatching, ipc: int):
        self.begin, self.prior, self.source, self.matching, self.ipc = begin, prior, source, matching, ipc
        self.codes = begin.clone().requires_grad_()
        self.optimizer = optimizer_of(matching, self.codes)
        self.record = Record(matching.iterations, matching.snapshots)

    def look(self, step: int) -> None:
        """Keep the first images if they are to be shown after ``step`` steps."""
        codes, chunk = self.codes.detach()[:: self.ipc], self.matching.code_chunk
        self.record.look(step, lambda count: render_all(self.prior, codes[:count], chunk))

    def step(self, k: int) -> None:
        """Iteration ``k``: one network, one step of the codes."""
        self.look(k)
        settings, codes = self.matching, self.codes.detach()
        element, where = self.source.flip(k), f"in iteration {k}; lower lr ({settings.lr})"
        net, weights = self.source.network(k)
        targets = self.source.gradients(net, weights, k, 0, element)
        matcher = CodeMatcher(net, weights, targets, settings.scale, settings.distance, element, self.ipc)
        values, gradient, images = code_gradients(self.prior, codes, matcher, self.ipc, settings.code_chunk)
        if not bool(torch.isfinite(values).all() & torch.isfinite(gradient).all()):
            raise Diverged(f"distance or gradient became NaN {where}")
        self.codes.grad = gradient
        self.optimizer.step()
        if not bool(torch.isfinite(codes).all()):
            bad = int((~torch.isfinite(codes)).flatten(1).any(1).nonzero()[0])
            raise Diverged(f"code {bad} ({self.source.names[bad // self.ipc]}) became NaN {where}")
        moved = (codes - self.begin).norm() / self.begin.norm().clamp(min=1e-12)
        self.record.add(distance=values.mean(), **images, moved=moved)

    def state(self) -> dict:
        """For a checkpoint."""
        return {"codes": self.codes.detach(), "optimizer": self.optimizer.state_dict(), **self.record.state()}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.codes.data.copy_(saved["codes"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.record.restore(saved)


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
