"""Gradient matching in pixel space: Dataset Condensation for super-resolution (Dietz et al., sections 3 and 4.2).

A class is a source picture, its real images are sub-images of it, the loss is the MSE of a small SR network. Every
iteration draws a network, compares its gradients on real and on synthetic images of each class, and moves the
synthetic images to bring them together. Departures from the reference code of DC, all on purpose: images stay in
[0, 1], so the learning rate is in those units; nothing is seeded by the clock; one flip or quarter turn per iteration is
shared by real and synthetic images (the only augmentations that commute with bicubic resizing).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad

from srdistill.images.crops import d4, undo_d4
from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.images.resize import downscale
from srdistill.papers.dietz.class_gradients import Weights, match
from srdistill.papers.dietz.real_gradients import RealGradients
from srdistill.papers.dietz.record import Record
from srdistill.papers.dietz.settings import Matching, optimizer_of
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.starts import start_set
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged
from srdistill.training.resumable import resumable


def gradient_matching(
    real: Pictures,
    *,
    ipc: int,
    size: int,
    generator: torch.Generator,
    start: str | DistilledSet = "downscaled",
    network: dict | nn.Module | None = None,
    matching: Matching = Matching(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` images of ``size`` px per picture whose gradients match those of the picture's sub-images.

    Args:
        start: ``noise``, ``downscaled``, ``real`` (random crops), or a set with ``ipc`` images per picture to go on from.
        network: settings of ``build_network`` for a network drawn anew every iteration (``{"architecture": "SRCNN"}`` if
            None; not VDSR, whose last layer starts at zero and stops all other gradients), or a trained module, which
            stays fixed: then the real gradients are computed once, over whole sub-images.

    History: ``distance``, before each step; ``min``, ``mean``, ``max`` of the images, after it.

    Raises:
        Diverged: the distance became NaN. SetError: the given start has the wrong number or size of images.
        PictureError: a picture is smaller than ``size`` or ``matching.crop``.
    """
    device, classes = torch.device(device), len(real)
    begin = start_set(real, start, ipc=ipc, size=size, generator=generator)
    source = RealGradients(real, network, matching, size=size, seed=generator.initial_seed(), device=device)
    images = to_float(begin.images).view(classes, ipc, 3, size, size).to(device)
    moving = _Pixels(images, source, matching)
    label = f"matching gradients, IPC {ipc}"
    for k in resumable(matching.iterations, label, checkpoint, moving.state, moving.restore):
        moving.step(k)
    moving.look(matching.iterations)
    if not bool(torch.isfinite(moving.images).all()):
        raise Diverged(f"the images became NaN in the last iteration; lower lr ({matching.lr})")
    return DistilledSet(
        to_uint8(moving.images).view(classes * ipc, 3, size, size).cpu(),
        torch.arange(classes).repeat_interleave(ipc),
        real.names,
        "gradient_matching",
        {
            "ipc": ipc, "size": size, "start": start if isinstance(start, str) else start.method, "scale": matching.scale,
            "network": source.described, "iterations": matching.iterations, "optimizer": matching.optimizer,
            "lr": matching.lr, "momentum": matching.momentum, "distance": matching.distance, "crop": matching.crop,
            "step": matching.step, "flips": matching.flips, "steps_along": matching.steps_along,
        },
        moving.record.history,
        moving.record.snapshots,
    )  # fmt: skip


class _Pixels:
    """The synthetic images (C, ipc, 3, H, W) on their way: all that an iteration changes."""

    def __init__(self, images: Tensor, source: RealGradients, matching: Matching):
        self.images, self.optimizer = images, optimizer_of(matching, images)
        self.source, self.matching = source, matching
        self.record = Record(matching.iterations, matching.snapshots)

    def look(self, step: int) -> None:
        """Keep the first images if they are to be shown after ``step`` steps."""
        self.record.look(step, lambda count: self.images[:count, 0])

    def step(self, k: int) -> None:
        """Iteration ``k``: one network, matched at its initialisation and after each step of its own training."""
        self.look(k)
        settings, seed = self.matching, self.source.seed
        element = self.source.flip(k)
        net, weights = self.source.network(k)
        for t in range(settings.steps_along):
            targets = self.source.gradients(net, weights, k, t, element)
            values, gradient = match(net, weights, d4(self.images, element), targets, settings.scale, settings.distance)
            if not bool(torch.isfinite(values).all() & torch.isfinite(gradient).all()):
                raise Diverged(
                    f"the gradient distance became NaN in iteration {k}; lower lr ({settings.lr}) or look at the start images"
                )
            self.images.grad = undo_d4(gradient, element)
            self.optimizer.step()
            self.images.clamp_(0, 1)
            if t + 1 < settings.steps_along:
                weights = train_step(net, weights, self.images, settings, generator_for(seed, "inner", k, t))
        self.record.add(distance=values.mean(), min=self.images.min(), mean=self.images.mean(), max=self.images.max())

    def state(self) -> dict:
        """For a checkpoint."""
        return {"images": self.images, "optimizer": self.optimizer.state_dict(), **self.record.state()}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.images.copy_(saved["images"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.record.restore(saved)


def train_step(
    net: nn.Module, weights: tuple[Weights, Weights], images: Tensor, matching: Matching, generator: torch.Generator
) -> tuple[Weights, Weights]:
    """One SGD step of all weights on synthetic images (C, ipc, 3, H, W), without touching the module."""
    matched, rest = weights
    chosen = torch.randperm(images.shape[0] * images.shape[1], generator=generator)[: matching.network_batch]
    hr = images.flatten(0, 1)[chosen.to(images.device)]
    trainable = {name: rest[name] for name, _ in net.named_parameters() if name in rest} | matched

    def loss(current: Weights) -> Tensor:
        return F.mse_loss(functional_call(net, {**rest, **current}, (downscale(hr, matching.scale),)), hr)

    updated = {name: trainable[name] - matching.network_lr * g for name, g in grad(loss)(trainable).items()}
    return {name: updated[name] for name in matched}, {name: updated.get(name, rest[name]) for name in rest}
