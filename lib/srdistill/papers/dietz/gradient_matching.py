"""Gradient matching in pixel space: Dataset Condensation for super-resolution (Dietz et al., sections 3 and 4.2).

A class is a source picture, its real images are sub-images of it, the loss is the MSE of a small SR network. Every
iteration draws a network, compares its gradients on real and on synthetic images of each class, and moves the
synthetic images to bring them together. Departures from the reference code of DC, all on purpose: images stay in
[0, 1], so the learning rate is in those units; nothing is seeded by the clock; one flip or quarter turn per iteration is
shared by real and synthetic images (the only augmentations that commute with bicubic resizing).
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad

from srdistill.images.crops import d4, undo_d4
from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.images.resize import downscale
from srdistill.papers.dietz.class_gradients import Weights, match
from srdistill.papers.dietz.real_gradients import RealGradients
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.starts import start_set
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged


@dataclass
class _State:
    """What an iteration changes: all that a checkpoint holds."""

    images: Tensor
    momentum: Tensor
    step: int = 0
    history: dict[str, list[float]] = field(default_factory=lambda: {"distance": [], "min": [], "mean": [], "max": []})
    snapshots: dict[int, Tensor] = field(default_factory=dict)


def gradient_matching(
    real: Pictures,
    *,
    ipc: int,
    size: int,
    generator: torch.Generator,
    start: str | DistilledSet = "downscaled",
    network: dict | nn.Module | None = None,
    scale: int = 2,
    iterations: int = 1000,
    lr: float = 1.0,
    momentum: float = 0.5,
    distance: str = "rows",
    crop: int = 480,
    step: int = 240,
    batch_real: int = 256,
    flips: bool = True,
    steps_along: int = 1,
    network_lr: float = 0.01,
    network_batch: int = 16,
    snapshots: int = 6,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``ipc`` images of ``size`` px per picture whose gradients match those of the picture's sub-images.

    Args:
        start: ``noise``, ``downscaled``, ``real`` (random crops), or a set with ``ipc`` images per picture to go on from.
        network: settings of ``build_network`` for a network drawn anew every iteration (``{"architecture": "SRCNN"}`` if
            None; not VDSR, whose last layer starts at zero and stops all other gradients), or a trained module, which
            stays fixed: then the real gradients are computed once, over whole sub-images.
        lr, momentum: SGD on the images, in [0, 1] units; images are clamped to [0, 1] after every step. The gradient of a
            pixel falls with the number of pixels of a class, so larger or more images need a larger rate: 1 to 5 moves
            one image of 64 px visibly in a hundred iterations, 0.01 does not move it by one 8-bit level.
        distance: ``rows``, ``cosine`` or ``mse``, see ``distances``.
        crop, step: the sub-images, in px; each gives one random crop of ``size`` px per iteration, at most ``batch_real``
            per picture.
        steps_along: 1 matches at the initialisation only, as DC does for IPC = 1. T also matches after each of T - 1
            SGD steps of the network (``network_lr``) on ``network_batch`` synthetic images.
        snapshots: how many stages of the first images to keep, the start and the end included.

    Raises:
        Diverged: the distance became NaN. SetError: the given start has the wrong number or size of images.
    """
    if iterations < 1 or steps_along < 1:
        raise ValueError(f"iterations and steps_along must be 1 or more, got {iterations} and {steps_along}")
    device, seed = torch.device(device), generator.initial_seed()
    begin, classes = start_set(real, start, ipc=ipc, size=size, generator=generator), len(real)
    images = to_float(begin.images).view(classes, ipc, 3, size, size).to(device)
    source = RealGradients(real, network, scale, distance, crop, step, size, batch_real, seed, device)
    state = _State(images, torch.zeros_like(images))
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        state = _State(**{**saved, "images": saved["images"].to(device), "momentum": saved["momentum"].to(device)})
    kept = {round(k * iterations / (snapshots - 1)) for k in range(snapshots)} if snapshots > 1 else {iterations}
    if state.step == 0 and 0 in kept:
        state.snapshots[0] = _snapshot(state.images)

    label = f"matching gradients, IPC {ipc}"
    for k in bar(range(state.step, iterations), label, total=iterations, initial=state.step):
        element = int(torch.randint(8, (), generator=generator_for(seed, "flip", k))) if flips else 0
        net, weights = source.network(k)
        for t in range(steps_along):
            targets = source.gradients(net, weights, k, t, element)
            values, gradient = match(net, weights, d4(state.images, element), targets, scale, distance)
            if not bool(torch.isfinite(values).all() & torch.isfinite(gradient).all()):
                raise Diverged(
                    f"the gradient distance became NaN in iteration {k}; lower lr ({lr}) or look at the start images"
                )
            state.momentum.mul_(momentum).add_(undo_d4(gradient, element))
            state.images.sub_(lr * state.momentum).clamp_(0, 1)
            if t + 1 < steps_along:
                draws = generator_for(seed, "inner", k, t)
                weights = _train_step(net, weights, state.images, scale, network_lr, network_batch, draws)
        state.step = k + 1
        for name, value in (
            ("distance", values.mean()),
            ("min", state.images.min()),
            ("mean", state.images.mean()),
            ("max", state.images.max()),
        ):
            state.history[name].append(float(value))
        if k + 1 in kept:
            state.snapshots[k + 1] = _snapshot(state.images)
        if checkpoint and checkpoint.due(k + 1) and k + 1 < iterations:
            checkpoint.save(dict(vars(state)))
    if not bool(torch.isfinite(state.images).all()):
        raise Diverged(f"the images became NaN in the last iteration; lower lr ({lr})")
    if checkpoint:
        checkpoint.clear()
    return DistilledSet(
        to_uint8(state.images).view(classes * ipc, 3, size, size).cpu(),
        torch.arange(classes).repeat_interleave(ipc),
        real.names,
        "gradient_matching",
        {
            "ipc": ipc, "size": size, "start": start if isinstance(start, str) else start.method, "scale": scale,
            "network": "trained and fixed" if isinstance(network, nn.Module) else source.settings,
            "iterations": iterations, "lr": lr, "momentum": momentum, "distance": distance, "crop": crop, "step": step,
            "flips": flips, "steps_along": steps_along,
        },
        state.history,
        state.snapshots,
    )  # fmt: skip


def _snapshot(images: Tensor) -> Tensor:
    """The first image of the first eight classes."""
    return to_uint8(images[:8, 0]).cpu()


def _train_step(
    net: nn.Module,
    weights: tuple[Weights, Weights],
    images: Tensor,
    scale: int,
    lr: float,
    batch: int,
    generator: torch.Generator,
) -> tuple[Weights, Weights]:
    """One SGD step of all weights on synthetic images, without touching the module."""
    matched, rest = weights
    chosen = torch.randperm(images.shape[0] * images.shape[1], generator=generator)[:batch].to(images.device)
    hr = images.flatten(0, 1)[chosen]
    trainable = {name: rest[name] for name, _ in net.named_parameters() if name in rest} | matched

    def loss(current: Weights) -> Tensor:
        return F.mse_loss(functional_call(net, {**rest, **current}, (downscale(hr, scale),)), hr)

    updated = {name: trainable[name] - lr * g for name, g in grad(loss)(trainable).items()}
    return {name: updated[name] for name in matched}, {name: updated.get(name, rest[name]) for name in rest}
