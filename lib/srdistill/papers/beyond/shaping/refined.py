"""Candidate C, refine: most images of a set stay, the others are moved towards the gradients of full-size pictures.

After SelMatch (Lee and Chung, ICML 2024), which updates a part of a selection and freezes the rest. What moves are coefficients
of the images' cosine transform, by small steps, towards the gradients of two trained networks. A judge, a network of another
architecture that is trained anew on the set of each round, says whether the round is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.measures.detail import restored
from srdistill.networks import build_network
from srdistill.papers.beyond.shaping.cosine_transform import cosine_matrix
from srdistill.papers.beyond.shaping.set_gradients import gap, set_gradients
from srdistill.papers.beyond.shaping.shaped import full_size_windows
from srdistill.progress import bar
from srdistill.seeds import derive_seed
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.training.evaluate import evaluate
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train

# Every so many pictures one is held out: the judge is tested on it, and no gradient of it is matched.
_HELD_OUT_EVERY = 8
# Side of the pictures' middles that the judge is tested on, px.
_TESTED_SIDE = 96


@dataclass(frozen=True)
class Refining:
    """``moving``: the share of the images that moves, those of the least detail; hard ones stay. ``rounds`` of ``steps`` steps
    of Adam, each on one of the networks in turn; ``lr``: what a coefficient of the orthonormal cosine transform moves by per
    step, in units of images in [0, 1]; a round that is not kept halves it. ``judge``: settings of ``build_network``;
    ``recipe``: how it is trained, anew for every round from the same start, on crops drawn alike.
    """

    judge: Mapping[str, object]
    recipe: Recipe
    moving: float = 0.25
    rounds: int = 4
    steps: int = 16
    lr: float = 0.003

    def __post_init__(self):
        if not 0 < self.moving <= 1 or min(self.rounds, self.steps) < 1:
            raise ValueError(
                f"a share of the images must move, in one round of one step or more; got {self.moving:g}, {self.rounds} rounds "
                f"of {self.steps} steps"
            )


def refined(
    real: Pictures,
    *,
    source: DistilledSet,
    networks: Sequence[nn.Module],
    scale: int,
    refining: Refining,
    generator: torch.Generator,
) -> DistilledSet:
    """``source``, ``uint8`` (N, 3, s, s), with a part of its images moved; labels stay.

    ``networks``: trained for ``scale``, and fixed. The set's gradients are to have the directions, filter by filter, of those
    of full-size windows of ``real`` with about as many pixels (``set_gradients``, ``gap``). Every eighth picture of ``real`` is
    left out of that: the judge is tested on its middle.

    History: ``gap``, mean of the networks, at the start and after each round; ``judged``, the judge's PSNR of the luma on the
    pictures that are held out, dB; ``kept``, 1 or 0. A round is kept if the judge is better than ever before.

    Raises:
        SelectionError: no networks, or a single picture. PictureError: a picture smaller than the images.
    """
    if not networks or len(real) < 2:
        raise SelectionError(
            f"refining needs networks, and two pictures or more, one of which is held out; got {len(networks)} networks and "
            f"{len(real)} pictures"
        )
    held, others = _held_out(real)
    each = max(1, round(len(source) / len(others)))
    windows = full_size_windows(others, source.images.shape[-1], generator, each)
    moved = _Moved(source, networks, scale, refining, windows)
    judge = _Judge(held, scale, refining, derive_seed(generator.initial_seed(), "judge"))
    history = {"gap": [moved.gap()], "judged": [judge.score(moved.images())], "kept": [1.0]}
    best, lr = moved.coefficients, refining.lr
    for _ in bar(range(refining.rounds), "refining"):
        moved.round(lr)
        score = judge.score(moved.images())
        kept = score > max(history["judged"])
        for name, value in {"gap": moved.gap(), "judged": score, "kept": float(kept)}.items():
            history[name].append(value)
        if kept:
            best = moved.coefficients
        else:
            moved.coefficients, lr = best, lr / 2
    settings = {name: getattr(refining, name) for name in ("moving", "rounds", "steps", "lr")}
    settings |= {"source": source.method, "moved": len(moved.which), "judge": dict(refining.judge)}
    return replace(
        source, images=moved.images(), method="refined", settings=source.settings | settings, history=history, snapshots={},
        latents={},
    )  # fmt: skip


def _held_out(real: Pictures) -> tuple[Pictures, Pictures]:
    """The middles of every eighth picture; and all the others."""
    held, middles = real.images[::_HELD_OUT_EVERY], []
    for image in held:
        height, width = image.shape[1:]
        tall, wide = min(height, _TESTED_SIDE), min(width, _TESTED_SIDE)
        top, left = (height - tall) // 2, (width - wide) // 2
        middles.append(image[:, top : top + tall, left : left + wide])
    rest = [place for place in range(len(real)) if place % _HELD_OUT_EVERY]
    return (
        Pictures(tuple(middles), real.names[::_HELD_OUT_EVERY], f"{real.origin}, held out"),
        Pictures(tuple(real.images[place] for place in rest), tuple(real.names[place] for place in rest), real.origin),
    )


class _Moved:
    """The set on its way: coefficients of the images that move, and the gradients that the whole set's are moved towards."""

    def __init__(self, source: DistilledSet, networks: Sequence[nn.Module], scale: int, refining: Refining, windows: Tensor):
        lost = to_float(source.images) - to_float(restored(source.images, scale))
        count = max(1, round(refining.moving * len(source)))
        # The easy ones, as in SelMatch, which keeps the hard ones as they are.
        self.which = lost.square().flatten(1).mean(1).argsort(stable=True)[:count]
        self.share, self.source = count / len(source), source.images
        self.transform = cosine_matrix(source.images.shape[-1])
        self.coefficients = self.transform @ to_float(source.images[self.which]) @ self.transform.T
        self.networks, self.scale, self.refining = networks, scale, refining
        stays = torch.ones(len(source), dtype=torch.bool).index_fill(0, self.which, False)
        # Networks and images that stay are fixed, so their gradients are computed once.
        self.aims = [set_gradients(network, to_float(windows), scale) for network in networks]
        self.still = [
            set_gradients(network, to_float(source.images[stays]), scale) if stays.any() else None for network in networks
        ]

    def images(self) -> Tensor:
        """All of them, ``uint8`` (N, 3, s, s)."""
        return self.source.index_copy(0, self.which, to_uint8(self._pixels(self.coefficients)))

    def gap(self) -> float:
        """Of the images as they would be stored, a mean over the networks."""
        now = to_float(self.images()[self.which])
        gaps = [self._gap(place, set_gradients(network, now, self.scale)) for place, network in enumerate(self.networks)]
        return float(sum(gaps)) / len(gaps)

    def round(self, lr: float) -> None:
        """``refining.steps`` steps of Adam at ``lr``."""
        values = self.coefficients.clone().requires_grad_()
        optimizer = torch.optim.Adam([values], lr=lr, betas=(0.5, 0.999))
        for step in range(self.refining.steps):
            place = step % len(self.networks)
            pixels = self._pixels(values).clamp(0, 1)
            ours = set_gradients(self.networks[place], pixels, self.scale, graph=True)
            (values.grad,) = torch.autograd.grad(self._gap(place, ours), values)
            optimizer.step()
        self.coefficients = values.detach()

    def _pixels(self, coefficients: Tensor) -> Tensor:
        return self.transform.T @ coefficients @ self.transform

    def _gap(self, place: int, moving: list[Tensor]) -> Tensor:
        still = self.still[place]
        if still is not None:
            moving = [self.share * ours + (1 - self.share) * fixed for ours, fixed in zip(moving, still, strict=True)]
        return gap(moving, self.aims[place])


class _Judge:
    """Trained anew on every set that it is asked about, from the same start."""

    def __init__(self, held: Pictures, scale: int, refining: Refining, seed: int):
        self.held, self.scale, self.refining, self.seed = held, scale, refining, seed

    def score(self, images: Tensor) -> float:
        """Mean PSNR of the luma on the pictures that are held out, dB, after training on ``uint8`` (N, 3, s, s)."""
        fresh = build_network(scale=self.scale, seed=self.seed, **self.refining.judge)
        trained, _ = train(fresh, list(images), self.refining.recipe, scale=self.scale, seed=self.seed, label="the judge")
        scores = evaluate(trained, self.held, self.scale)
        return sum(line["psnr_y"] for line in scores) / len(scores)
