"""Generative space dataset distillation (GSDD; Zhang et al., AAAI 2024), the baseline of the label-free paper's table 1.

There is no public code and the text names no settings. What is known: images are codes of a pre-trained GAN, found by GAN
inversion; class by class they are matched to the real images' distribution in the feature space of a pre-trained SR
network, with a regulariser. What is ours: which features (those before the upsampling, of the HR image itself, so that its
finest detail counts), what of their distribution (mean and standard deviation of every channel, over images and positions),
and the regulariser (codes stay near their inversions).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srdistill.images.pictures import Pictures, to_uint8
from srdistill.papers.labelfree.layer_features import LayerFeatures, statistics
from srdistill.papers.labelfree.patch_pool import PatchPool
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import invert
from srdistill.priors.inversion_recipe import InversionRecipe
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import check_codes, frozen, render_all
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.training.checkpoint import Checkpoint
from srdistill.training.loop import Diverged
from srdistill.training.resumable import resumable


@dataclass(frozen=True)
class FeatureMatching:
    """Settings of ``gsdd``.

    ``layer``: names the module of the SR network whose output, for HR images as its input, is the feature space.
    ``iterations``, ``lr``: Adam steps (betas 0.5 and 0.999) on all codes, in units of the codes. ``regulariser``: weight of
    the mean squared distance to the inverted codes, in units of their variance. ``most_real``: how many patches of a class
    are looked at, drawn once; 0: all of them. ``chunk``: images at a time in generator and network; memory grows with it,
    results do not change but for rounding. ``inversion``: how the codes to start from are found; the generator is not tuned.
    """

    layer: str = "after_body"
    iterations: int = 200
    lr: float = 0.01
    regulariser: float = 0.1
    most_real: int = 0
    chunk: int = 16
    inversion: InversionRecipe = InversionRecipe()

    def __post_init__(self):
        if self.iterations < 1 or self.chunk < 1 or self.most_real < 0:
            raise ValueError(
                "iterations and chunk must be 1 or more and most_real not negative, got "
                f"{self.iterations}, {self.chunk} and {self.most_real}"
            )
        if not (0 <= self.lr < math.inf and 0 <= self.regulariser < math.inf):
            raise ValueError(f"lr and regulariser must be finite and not negative, got {self.lr} and {self.regulariser}")
        if self.inversion.tuning_iterations:
            raise ValueError(
                f"gsdd leaves its generator as it is, got {self.inversion.tuning_iterations} tuning_iterations; set them to 0"
            )


def gsdd(
    real: Pictures,
    *,
    count: int,
    size: int,
    generator: torch.Generator,
    pool: PatchPool,
    prior: Prior,
    network: nn.Module,
    matching: FeatureMatching = FeatureMatching(),
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> DistilledSet:
    """``count`` images of ``size`` px, as many of every class: inverted patches whose features have been matched.

    ``real`` is not looked at: the patches of the ``pool`` were cut from it. GSDD needs class labels; pseudo-labels serve
    where there are none.

    Args:
        prior: the generator; never changed.
        network: a pre-trained SR network, in the features of whose ``matching.layer`` images are compared.

    History, before each step: ``distance``, the mean over classes and channels of squared differences of mean and standard
    deviation, in units of the channel's variance over all real patches; ``regulariser``, without its weight.

    Raises:
        SelectionError: classes that do not divide ``count``, or with fewer patches than are asked. Diverged: NaN.
        ValueError: patches of another size, or a layer that the network has not. What ``invert`` raises.
    """
    if pool.size != size:
        raise ValueError(f"patches of {pool.size} px for a set of {size} px; select patches of {size} px")
    device, ipc, chunk = torch.device(device), count // pool.classes, matching.chunk
    features = LayerFeatures(network.to(device), matching.layer)
    start = _start(pool, count, generator)
    prior.to(device)
    begin, inversion = _inverted(prior, pool.images(start), matching.inversion, device, checkpoint)
    with frozen(prior), frozen(network):
        most = matching.most_real
        seen = _drawn(pool, most, generator, "gsdd real") if most else torch.arange(len(pool))
        targets, spread = features.of_classes(pool.images(seen), pool.label[seen], pool.classes, chunk)
        moving = _Codes(begin.to(device, torch.float32), prior, _Matcher(features, targets, spread, ipc, chunk), matching)
        for k in resumable(matching.iterations, "matching features", checkpoint, moving.state, moving.restore):
            moving.step(k)
        rendered = render_all(prior, moving.codes.detach(), chunk)
    if not bool(torch.isfinite(rendered).all()):
        raise Diverged(f"the images became NaN in the last iteration; lower lr ({matching.lr})")
    return DistilledSet(
        to_uint8(rendered).cpu(),
        torch.arange(pool.classes).repeat_interleave(ipc),
        tuple(f"cluster {index}" for index in range(pool.classes)),
        "gsdd",
        {
            "count": count, "size": size, "prior": prior.name, "network": type(network).__name__, "layer": matching.layer,
            "iterations": matching.iterations, "lr": matching.lr, "regulariser": matching.regulariser,
            "inversion": inversion,
        },
        moving.history,
    )  # fmt: skip


def _drawn(pool: PatchPool, most: int, generator: torch.Generator, purpose: str) -> Tensor:
    """Indices of at most ``most`` different patches of every class, in the order of the classes."""
    chosen = []
    for index in range(pool.classes):
        members = (pool.label == index).nonzero().flatten()
        draw = generator_for(generator.initial_seed(), purpose, index)
        chosen.append(members[torch.randperm(len(members), generator=draw)[:most]])
    return torch.cat(chosen)


def _start(pool: PatchPool, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) of the patches to start from, as many of every class."""
    classes = pool.classes
    if count < 1 or count % classes:
        raise SelectionError(
            f"{count} images cannot be shared equally by {classes} classes; ask for {max(1, count // classes) * classes}"
        )
    for index, members in enumerate(pool.class_sizes.tolist()):
        if members < count // classes:
            raise SelectionError(
                f"class {index} has {members} patches, {count // classes} are asked of every class; ask for at most "
                f"{members * classes} images, or select more patches"
            )
    return _drawn(pool, count // classes, generator, "gsdd start")


def _inverted(
    prior: Prior, patches: Tensor, recipe: InversionRecipe, device: torch.device, checkpoint: Checkpoint | None
) -> tuple[Tensor, dict]:
    """The codes of the patches and how they were found: one step of its own, not done again after an interruption."""
    found: dict = {}
    first, partial = (checkpoint.part("start"), checkpoint.part("inversion")) if checkpoint else (None, None)
    for _ in resumable(1, "inverting", first, found.copy, found.update, keep=True):
        inversion = invert(prior, patches, recipe=recipe, device=device, checkpoint=partial)
        check_codes(prior, inversion.codes, len(patches), patches.shape[-1])
        settings = inversion.settings | {"psnr": round(inversion.psnr.mean().item(), 2)}
        found.update(codes=inversion.codes, settings=settings)
    return found["codes"], found["settings"]


class _Codes:
    """The codes (classes * ipc, *code_shape) on their way from ``begin``: all that an iteration changes."""

    def __init__(self, begin: Tensor, prior: Prior, matcher: "_Matcher", matching: FeatureMatching):
        self.begin, self.prior, self.matcher, self.matching = begin, prior, matcher, matching
        self.variance = begin.var().clamp(min=1e-12)
        self.codes = begin.clone().requires_grad_()
        self.optimizer = torch.optim.Adam([self.codes], lr=matching.lr, betas=(0.5, 0.999))
        self.history: dict[str, list[float]] = {"distance": [], "regulariser": []}

    def step(self, k: int) -> None:
        """One step of all codes."""
        codes, matcher = self.codes.detach(), self.matcher
        values, gradient, _ = code_gradients(self.prior, codes, matcher, matcher.ipc, matcher.chunk)
        away = codes - self.begin
        pull = self.matching.regulariser * 2 * away / (self.variance * away.numel())
        self.codes.grad = gradient / len(values) + pull
        self.history["distance"].append(values.mean().item())
        self.history["regulariser"].append((away.square().mean() / self.variance).item())
        self.optimizer.step()
        if not bool(torch.isfinite(values).all() & torch.isfinite(codes).all()):
            raise Diverged(f"distance or codes became NaN in iteration {k}; lower lr ({self.matching.lr})")

    def state(self) -> dict:
        """For a checkpoint."""
        return {"codes": self.codes.detach(), "optimizer": self.optimizer.state_dict(), "history": self.history}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.codes.data.copy_(saved["codes"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history = saved["history"]


@dataclass(frozen=True)
class _Matcher:
    """Distance of some classes' images from the real ones, and its gradient, for ``code_gradients``."""

    features: LayerFeatures
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
        return ((statistics(means) - target) / self.spread).square().mean()
