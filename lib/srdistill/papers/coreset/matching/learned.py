"""What the methods move: pictures themselves, or codes that a frozen generator makes them of (GLaD, Cazenavette et al. 2023).

A method derives a gradient with respect to pictures in units; here it becomes a step of pixels, or is taken on into codes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from srdistill.images.labelled import LabelledPictures
from srdistill.images.pictures import to_uint8
from srdistill.papers.coreset.expanding.coreset_patches import random_coreset
from srdistill.papers.coreset.matching.units import Units
from srdistill.priors.code_gradients import code_gradients
from srdistill.priors.inversion import codes_of
from srdistill.priors.prior import Prior
from srdistill.priors.rendering import check_codes, frozen, render_all
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.learned_set import LearnedSet, pictures_of
from srdistill.sets.windows import check_ipc
from srdistill.training.loop import Diverged

STARTS = ("real", "noise")
# From pictures in units (N, 3, S, S) to the gradient with respect to them; None: no step this time.
Derive = Callable[[Tensor], Tensor | None]


class Pixels:
    """Pictures (N, 3, S, S) in units, moved by SGD; they may leave what is a picture, as published."""

    def __init__(self, begin: Tensor, units: Units, lr: float, momentum: float):
        self.space, self.values = units, begin.clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.values], lr=lr, momentum=momentum)

    def units(self) -> Tensor:
        """The pictures of now, (N, 3, S, S) in units, without a graph."""
        return self.values.detach()

    def pictures(self) -> Tensor:
        """The same as float pictures (N, 3, S, S), not clamped."""
        return self.space.pictures(self.units())

    def step(self, derive: Derive) -> None:
        """One step along the gradient that ``derive`` gives."""
        gradient = derive(self.units())
        if gradient is not None:
            self.values.grad = gradient
            self.optimizer.step()

    @property
    def latents(self) -> dict[str, Tensor]:
        """What a set keeps beside its pictures (N, 3, S, S): nothing."""
        return {}

    def about(self) -> dict:
        """Of the set's settings."""
        return {}

    def state(self) -> dict:
        """For a checkpoint."""
        return {"values": self.values.detach(), "optimizer": self.optimizer.state_dict()}

    def restore(self, saved: dict) -> None:
        """Go on from what ``state`` gave."""
        self.values.data.copy_(saved["values"])
        self.optimizer.load_state_dict(saved["optimizer"])


class Codes(Pixels):
    """Codes (N, *code_shape) moved by SGD; pictures are what ``prior`` decodes, clamped to [0, 1].

    All values of a code share one rate (GLaD: one for the features F_n, a thousandth of it for the vectors w). The generator
    holds a graph of ``chunk`` codes at most.
    """

    def __init__(self, begin: Tensor, prior: Prior, chunk: int, units: Units, lr: float, momentum: float):
        super().__init__(begin, units, lr, momentum)
        self.prior, self.chunk = prior, chunk

    def units(self) -> Tensor:
        """The pictures of now, (N, 3, S, S) in units, without a graph."""
        return self.space.normalised(self.pictures())

    def pictures(self) -> Tensor:
        """The same as float pictures (N, 3, S, S) in [0, 1]."""
        with frozen(self.prior):
            return render_all(self.prior, self.values.detach(), self.chunk)

    def step(self, derive: Derive) -> None:
        """One step along the gradient that ``derive`` gives, through the generator."""
        stepped = False

        def matcher(images: Tensor, _: slice) -> tuple[Tensor, Tensor]:
            nonlocal stepped
            leaf = images.detach().requires_grad_()
            seen = self.space.normalised(leaf)
            gradient = derive(seen.detach())
            stepped = gradient is not None
            image_gradient = torch.autograd.grad(seen, leaf, gradient)[0] if stepped else torch.zeros_like(images)
            return images.new_zeros(1), image_gradient

        with frozen(self.prior):
            # All codes as one class: some methods look at all pictures together.
            _, gradient, _ = code_gradients(self.prior, self.values.detach(), matcher, len(self.values), self.chunk)
        if stepped:
            self.values.grad = gradient
            self.optimizer.step()

    @property
    def latents(self) -> dict[str, Tensor]:
        """The codes of now, (N, *code_shape), on the CPU."""
        return {"codes": self.values.detach().cpu()}

    def about(self) -> dict:
        """Name and size of the generator, and values of a code."""
        return {"prior": self.prior.name, "prior_bytes": self.prior.bytes, "code_values": self.values[0].numel()}


def begin(
    real: LabelledPictures,
    *,
    ipc: int,
    start: str | DistilledSet,
    units: Units,
    lr: float,
    momentum: float,
    generator: torch.Generator,
    device: torch.device,
    prior: Prior | None = None,
    chunk: int = 10,
) -> Pixels | Codes:
    """``ipc`` pictures of every class, class after class, ready to be moved: pixels, or codes where there is a ``prior``.

    Args:
        start: ``real``: what ``random_coreset`` takes with the same generator, factor 1 and scale (1, 1): whole pictures.
            ``noise``: N(0, 1) in units. Or a set of as many pictures; codes that it carries are gone on from.
        prior: encodes the start where it carries no codes. chunk: codes that are decoded at a time.

    Raises:
        ValueError: unknown ``start``, noise with a prior, ``ipc`` or ``chunk`` below 1. SetError: the given start does not fit.
        SelectionError: a class has fewer pictures than ``ipc``. PriorError: the prior makes no pictures of this size.
    """
    check_ipc(ipc)
    if chunk < 1:
        raise ValueError(f"chunk must be 1 or more, got {chunk}; it is how many codes are decoded at a time")
    if isinstance(start, str) and start not in STARTS:
        raise ValueError(f"unknown start {start!r}; there are: {', '.join(STARTS)}, or a DistilledSet")
    if start == "noise":
        if prior is not None:
            raise ValueError("codes do not start from noise in pixels; start from 'real', or from a set that carries codes")
        shape = (len(real.classes) * ipc, 3, real.size, real.size)
        noise = torch.randn(shape, generator=generator_for(generator.initial_seed(), "noise start"))
        return Pixels(noise.to(device), units, lr, momentum)
    if start == "real":
        start = random_coreset(real, ipc=ipc, factor=1, generator=generator, scale=(1.0, 1.0))
    _check_start(start, real, ipc)
    if prior is None:
        return Pixels(units.normalised(pictures_of(start).to(device)), units, lr, momentum)
    prior.check_size(real.size)
    prior.to(device)
    if "codes" in start.latents:
        codes, prior = codes_of(start, prior)
    else:
        codes = torch.cat([prior.encode(part.to(device)) for part in pictures_of(start).clamp(0, 1).split(chunk)])
    check_codes(prior, codes, len(start), real.size)
    return Codes(codes.to(device, torch.float32), prior.to(device), chunk, units, lr, momentum)


def _check_start(start: DistilledSet, real: LabelledPictures, ipc: int) -> None:
    needed = (len(real.classes) * ipc, 3, real.size, real.size)
    if start.images.shape != needed or tuple(start.names) != tuple(real.classes):
        raise SetError(
            f"the start has {tuple(start.images.shape)} images of {len(start.names)} classes; {ipc} pictures of {real.size} px "
            f"for each of these {len(real.classes)} classes need {needed}"
        )
    if not torch.equal(start.labels, torch.arange(len(real.classes)).repeat_interleave(ipc)):
        raise SetError(f"the labels of the start must count up, {ipc} of each class in the order of the classes")


def tenth_ended(step: int, steps: int) -> bool:
    """Whether another tenth of the ``steps`` has ended with ``step`` (from 0), or all of them: then losses are averaged, so
    that also a short run shows whether they fell."""
    return (step + 1) % max(1, steps // 10) == 0 or step + 1 == steps


def check_learned(learned: Pixels, label: str, remedy: str) -> None:
    """A loss is of what was before the step: raise Diverged if the last step made pictures NaN."""
    if not bool(torch.isfinite(learned.values).all()):
        raise Diverged(f"{label}: the last step made pictures NaN or infinite; {remedy}")


def learned_set(
    learned: Pixels,
    real: LabelledPictures,
    method: str,
    ipc: int,
    settings: dict,
    history: dict[str, list[float]],
    *,
    logits: Tensor | None = None,
    step_size: float | None = None,
) -> LearnedSet:
    """What was learned as a set: pictures as floats, unclamped, and after 8 bits; codes, where it was codes; ``logits`` of
    labels (N, K) and the step size of students, where they were learned too."""
    pictures = learned.pictures().float().cpu()
    return LearnedSet(
        to_uint8(pictures),
        torch.arange(len(real.classes)).repeat_interleave(ipc),
        tuple(real.classes),
        method,
        {"ipc": ipc, "size": real.size, **settings, **learned.about()},
        history,
        latents=learned.latents,
        floats=pictures,
        label_logits=logits,
        step_size=step_size,
    )
