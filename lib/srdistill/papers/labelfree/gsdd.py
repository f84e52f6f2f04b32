"""Generative space dataset distillation (GSDD; Zhang et al., AAAI 2024), the baseline of the label-free paper's table 1.

There is no public code and the text names no settings. What is known: images are codes of a pre-trained GAN, found by GAN
inversion; class by class they are matched to the real images' distribution in the feature space of a pre-trained SR
network, with a regulariser. What is ours: which features (those before the upsampling, of the HR image itself, so that its
finest detail counts), what of their distribution (mean and standard deviation of every channel, over images and positions),
and the regulariser (codes stay near their inversions).
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from srdistill.diffusion.encoded_patches import check_patches
from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import invert
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import check_codes, frozen, render_all
from srdistill.progress import bar
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged

# Below this a channel does not vary over the real patches, and matching it relative to its spread would divide by nothing.
_SMALLEST_SPREAD = 1e-6


@dataclass
class _State:
    """What an iteration changes: all that a checkpoint holds. ``begin``: the inverted codes."""

    begin: Tensor
    codes: Tensor
    inversion: dict
    optimizer: dict = field(default_factory=dict)
    step: int = 0
    history: dict[str, list[float]] = field(default_factory=lambda: {"distance": [], "regulariser": []})


def gsdd(
    real: Pictures,
    *,
    count: int,
    size: int,
    generator: torch.Generator,
    patches: Tensor,
    labels: Tensor,
    prior: Prior,
    network: nn.Module,
    layer: str = "after_body",
    iterations: int = 200,
    lr: float = 0.01,
    regulariser: float = 0.1,
    most_real: int = 0,
    inversion: dict | None = None,
    chunk: int = 16,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``count`` images of ``size`` px, as many of every class: inverted patches whose features have been matched.

    ``real`` is not looked at: ``patches``, ``uint8`` (N, 3, size, size), were cut from it, with classes ``labels`` (N,). GSDD
    needs class labels; pseudo-labels serve where there are none.

    Args:
        prior: the generator; never changed. inversion: settings of ``invert``.
        network: a pre-trained SR network; ``layer`` names the module whose output, for HR images as its input, is the
            feature space.
        iterations, lr: Adam steps (betas 0.5 and 0.999) on all codes, in units of the codes.
        regulariser: weight of the mean squared distance to the inverted codes, in units of their variance.
        most_real: how many patches of a class are looked at, drawn once; 0: all of them.
        chunk: images at a time in generator and network; memory grows with it, results do not change but for rounding.

    History, before each step: ``distance``, the mean over classes and channels of squared differences of mean and standard
    deviation, in units of the channel's variance over all real patches; ``regulariser``, without its weight.

    Raises:
        SelectionError: classes that do not divide ``count``, or with fewer patches than are asked. Diverged: NaN.
        ValueError: impossible settings, or a layer that the network has not. What ``invert`` raises.
    """
    if iterations < 1 or chunk < 1 or most_real < 0:
        raise ValueError(
            f"iterations and chunk must be 1 or more and most_real not negative, got {iterations}, {chunk} and {most_real}"
        )
    if not (0 <= lr < math.inf and 0 <= regulariser < math.inf):
        raise ValueError(f"lr and regulariser must be finite and not negative, got {lr} and {regulariser}")
    check_patches(patches, labels)
    if patches.shape[-1] != size:
        raise ValueError(f"patches of {patches.shape[-1]} px for a set of {size} px; select patches of {size} px")
    device = torch.device(device)
    features = _Features(network.to(device), layer)
    classes = int(labels.max()) + 1
    start = _start(labels, classes, count, generator)
    ipc = count // classes
    prior.to(device)

    saved = checkpoint.load() if checkpoint else None
    if saved is None:
        partial = checkpoint and checkpoint.part("inversion")
        found = invert(prior, patches[start], device=device, checkpoint=partial, **(inversion or {}))
        check_codes(prior, found.codes, count, size)
        settings = found.settings | {"psnr": round(found.psnr.mean().item(), 2)}
        state = _State(found.codes, found.codes.clone(), settings)
        if checkpoint:
            checkpoint.save(dict(vars(state)))
    else:
        state = _State(**saved)
    begin = state.begin.to(device, torch.float32)
    variance = begin.var().clamp(min=1e-12)
    codes = state.codes.to(device, torch.float32).requires_grad_()
    stepper = torch.optim.Adam([codes], lr=lr, betas=(0.5, 0.999))
    if state.optimizer:
        stepper.load_state_dict(state.optimizer)

    with frozen(prior), frozen(network):
        seen = _some(labels, most_real, generator) if most_real else slice(None)
        targets, spread = features.of_classes(patches[seen], labels[seen], classes, chunk)
        matcher = _Matcher(features, targets, spread, ipc, chunk)
        for k in bar(range(state.step, iterations), "matching features", total=iterations, initial=state.step):
            values, gradient, _ = code_gradients(prior, codes.detach(), matcher, ipc, chunk)
            away = codes.detach() - begin
            codes.grad = gradient / classes + regulariser * 2 * away / (variance * away.numel())
            state.history["distance"].append(values.mean().item())
            state.history["regulariser"].append((away.square().mean() / variance).item())
            stepper.step()
            if not bool(torch.isfinite(values).all() & torch.isfinite(codes).all()):
                raise Diverged(f"distance or codes became NaN in iteration {k}; lower lr ({lr})")
            state.step = k + 1
            if checkpoint and checkpoint.due(k + 1) and k + 1 < iterations:
                checkpoint.save(dict(vars(state)) | {"codes": codes.detach(), "optimizer": stepper.state_dict()})
        rendered = render_all(prior, codes.detach(), chunk)
    if not bool(torch.isfinite(rendered).all()):
        raise Diverged(f"the images became NaN in the last iteration; lower lr ({lr})")
    if checkpoint:
        checkpoint.clear()
    return DistilledSet(
        to_uint8(rendered).cpu(),
        torch.arange(classes).repeat_interleave(ipc),
        tuple(f"cluster {index}" for index in range(classes)),
        "gsdd",
        {
            "count": count, "size": size, "prior": prior.name, "network": type(network).__name__, "layer": layer,
            "iterations": iterations, "lr": lr, "regulariser": regulariser, "inversion": state.inversion,
        },
        state.history,
    )  # fmt: skip


def _start(labels: Tensor, classes: int, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) of different patches, as many of every class, in the order of the classes."""
    if count < 1 or count % classes:
        raise SelectionError(
            f"{count} images cannot be shared equally by {classes} classes; ask for {max(1, count // classes) * classes}"
        )
    chosen = []
    for index in range(classes):
        members = (labels == index).nonzero().flatten()
        if len(members) < count // classes:
            raise SelectionError(
                f"class {index} has {len(members)} patches, {count // classes} are asked of every class; ask for at most "
                f"{len(members) * classes} images, or select more patches"
            )
        draw = generator_for(generator.initial_seed(), "gsdd start", index)
        chosen.append(members[torch.randperm(len(members), generator=draw)[: count // classes]])
    return torch.cat(chosen)


def _some(labels: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Indices of at most ``most`` patches of every class."""
    chosen = []
    for index in range(int(labels.max()) + 1):
        members = (labels == index).nonzero().flatten()
        draw = generator_for(generator.initial_seed(), "gsdd real", index)
        chosen.append(members[torch.randperm(len(members), generator=draw)[:most]])
    return torch.cat(chosen)


class _Reached(Exception):
    """The wanted layer has been computed; the rest of the network, which works at four times the side, is not needed."""

    def __init__(self, output: Tensor):
        self.output = output


def _stop(module: nn.Module, inputs: tuple, output: Tensor) -> None:
    raise _Reached(output)


class _Features:
    """What a layer of a network makes of images: first and second moments of its channels."""

    def __init__(self, network: nn.Module, layer: str):
        modules = dict(network.named_modules())
        if not layer or layer not in modules:
            known = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"{type(network).__name__} has no layer {layer!r}; it has: {known}, and what is inside them")
        self.network, self.layer, self.module = network, layer, modules[layer]

    def __call__(self, images: Tensor) -> Tensor:
        """Float images (N, 3, H, W) in [0, 1] to features (N, channels, positions); differentiable."""
        handle = self.module.register_forward_hook(_stop)
        try:
            self.network(images)
        except _Reached as reached:
            return reached.output.flatten(2)
        finally:
            handle.remove()
        raise ValueError(f"{type(self.network).__name__} does not use its layer {self.layer!r}; name another")

    def moments(self, images: Tensor) -> tuple[Tensor, int]:
        """Sums of values and squares over images and positions, (2, channels), double, and how many; differentiable."""
        found = self(images).double()
        return torch.stack([found.sum((0, 2)), found.square().sum((0, 2))]), found.shape[0] * found.shape[2]

    @torch.no_grad()
    def means(self, images: Tensor, chunk: int) -> Tensor:
        """Means of the values and of their squares (2, channels), ``chunk`` images at a time."""
        parts = [self.moments(to_float(p) if p.dtype == torch.uint8 else p) for p in images.split(chunk)]
        return sum(total for total, _ in parts) / sum(count for _, count in parts)

    def of_classes(self, patches: Tensor, labels: Tensor, classes: int, chunk: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation by class (classes, 2, channels), and every channel's deviation over all patches (channels,)."""
        device = next(self.network.parameters()).device
        moments = torch.stack([self.means(patches[labels == index].to(device), chunk) for index in range(classes)])
        share = torch.bincount(labels, minlength=classes).to(device).double() / len(labels)
        whole = (moments * share[:, None, None]).sum(0)
        spread = (whole[1] - whole[0].square()).clamp(min=_SMALLEST_SPREAD**2).sqrt()
        return torch.stack([_statistics(one) for one in moments]), spread


def _statistics(moments: Tensor) -> Tensor:
    """Mean and standard deviation (2, channels) from mean and mean square."""
    return torch.stack([moments[0], (moments[1] - moments[0].square()).clamp(min=_SMALLEST_SPREAD**2).sqrt()])


@dataclass(frozen=True)
class _Matcher:
    """Distance of some classes' images from the real ones, and its gradient, for ``code_gradients``."""

    features: _Features
    targets: Tensor
    spread: Tensor
    ipc: int
    chunk: int

    def __call__(self, images: Tensor, classes: slice) -> tuple[Tensor, Tensor]:
        """``images``: (c * ipc, 3, H, W), those of the ``classes``; returns (c,) and the shape of ``images``."""
        values, gradients = [], []
        for own, target in zip(images.split(self.ipc), self.targets[classes], strict=True):
            if self.ipc <= self.chunk:
                leaf = own.detach().requires_grad_()
                total, count = self.features.moments(leaf)
                value = self._distance(total / count, target)
                gradients += torch.autograd.grad(value, leaf)
            else:
                # The distance is a function of two sums over images: with its slope in them, the images' gradients need the
                # graph of one chunk at a time only.
                means = self.features.means(own, self.chunk).requires_grad_()
                value = self._distance(means, target)
                (slope,) = torch.autograd.grad(value, means)
                for part in own.split(self.chunk):
                    leaf = part.detach().requires_grad_()
                    total, count = self.features.moments(leaf)
                    gradients += torch.autograd.grad((slope * total).sum() / (count / len(part) * self.ipc), leaf)
            values.append(value.detach())
        return torch.stack(values), torch.cat(gradients)

    def _distance(self, means: Tensor, target: Tensor) -> Tensor:
        return ((_statistics(means) - target) / self.spread).square().mean()
