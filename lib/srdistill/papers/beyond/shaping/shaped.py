"""Candidate D, shape the spectrum: whole pictures, shrunk with a kernel, then sharpened or filtered.

At the same number of pixels no selection of tiles was seen to beat whole pictures shrunk, and what a student makes of those
depends on their spectrum: on scale, kernel and mild sharpening. This is ``sets.downscaled`` with these in hand.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from srdistill.images.pictures import Pictures, to_float, to_uint8
from srdistill.images.shrinking import BICUBIC, shrink
from srdistill.images.unsharp import unsharp
from srdistill.papers.beyond.shaping.radial_filter import fit_radial_filter
from srdistill.papers.beyond.tiles.tile_budget import tile_count
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SelectionError
from srdistill.sets.windows import check_ipc, draw_windows

# Windows of the full size whose mean spectrum is that of the pictures: a few of each.
_WINDOWS = 4
# Squares along the longer side that lie less than this share of a side apart show too much of the same.
_APART = 0.2


def shaped(
    real: Pictures,
    *,
    size: int,
    generator: torch.Generator,
    ipc: int = 1,
    count: int = 0,
    budget: float = 0.0,
    kernel: str = BICUBIC,
    sharpen: float = 0.0,
    match: float = 0.0,
    target: str = "pictures",
    factors: Sequence[float] = (),
) -> DistilledSet:
    """Squares of ``size`` x ``size`` px, ``uint8``: of each picture the central square of its shorter side, shrunk.

    Further ones (``ipc`` above 1) lie along the longer side, as long as they are a fifth of a side apart; then come squares
    smaller by the square root of 2 each, uniformly placed. ``count``: so many images in all instead, as evenly from the
    pictures as they allow; the odd ones are drawn by ``generator``; ``budget``: so many as are this share of all pixels.

    ``kernel``: one of ``images.shrinking.KERNELS``. ``match``, ``target``: strength and target of a radial filter, fitted to
    the images as they are then and to windows of ``real`` of the same size (see ``fit_radial_filter``). ``sharpen``: amount of
    the unsharp mask (see ``images.unsharp``), after the filter. ``factors``: a range within 0 and 1 from which the factor of
    every square is drawn, log-uniformly, as far as its picture allows; empty: as small as whole pictures become.

    Bicubic without anything else is ``downscaled``, bit for bit.

    Raises:
        PictureError: a picture is smaller than ``size``; an amount that there is not. ValueError: ``ipc`` below 1, an unknown
        kernel. SelectionError: a negative ``count``, or factors that are no range.
    """
    check_ipc(ipc)
    real.require(size, f"the synthetic images of {size} px")
    if count and budget:
        raise SelectionError(f"give a count or a budget, not both; got {count} and {budget:g}")
    if budget:
        count = tile_count(budget, real.pixels, size)
    if count < 0:
        raise SelectionError(f"count must be 1 or more, or 0 for {ipc} of each picture, got {count}")
    if factors and not (len(factors) == 2 and 0 < factors[0] <= factors[1] <= 1):
        raise SelectionError(f"factors are the least and the most that a square is shrunk to, within 0 and 1, got {factors}")
    seed = generator.initial_seed()
    shares = _shares(len(real), count, seed) if count else [ipc] * len(real)
    images, labels = [], []
    for label, (image, share) in enumerate(zip(real.images, shares, strict=True)):
        draws = generator_for(seed, "shaped squares", label)
        for top, left, side in _squares(*image.shape[1:], size, share, draws, factors):
            window = image[:, top : top + side, left : left + side]
            images.append(shrink(to_float(window), (size, size), kernel))
            labels.append(label)
    floats = torch.stack(images)
    gains = ()
    if match:
        radial = fit_radial_filter(floats, full_size_windows(real, size, generator), match, target)
        floats, gains = radial(floats), radial.gains
    settings = {"size": size, "kernel": kernel, "sharpen": sharpen, "match": match} | (
        {"count": count} if count else {"ipc": ipc}
    )
    settings |= {"target": target, "gains": [round(gain, 4) for gain in gains]} if match else {}
    settings |= {"factors": list(factors)} if factors else {}
    return DistilledSet(to_uint8(unsharp(floats, sharpen)), torch.tensor(labels), real.names, "shaped", settings)


def _shares(pictures: int, count: int, seed: int) -> list[int]:
    """How many squares each picture gives: all the same number, and the odd ones at random."""
    each, odd = divmod(count, pictures)
    order = torch.randperm(pictures, generator=generator_for(seed, "shaped pictures"))
    shares = torch.full((pictures,), each)
    shares[order[:odd]] += 1
    return shares.tolist()


def _squares(
    height: int, width: int, size: int, count: int, draws: torch.Generator, factors: Sequence[float]
) -> list[tuple[int, int, int]]:
    """``count`` squares of a picture as (top, left, side), in the order of ``shaped``."""
    shortest = min(height, width)
    found: list[tuple[int, int, int]] = []
    steps = int((max(height, width) - shortest) / (_APART * shortest))
    along = 1 if steps < 2 else 1 + 2 ** (steps.bit_length() - 1)  # the places of ``_spread`` halve their distances
    for index in range(count):
        if factors:
            low, high = map(math.log, factors)
            side = round(size / math.exp(low + (high - low) * _uniform(draws)))
            side = min(max(side, size), shortest)
        else:
            side = shortest if index < along else max(size, round(shortest * 0.5 ** ((index - along + 1) / 2)))
        room_y, room_x = height - side, width - side
        if side == shortest and index < along:
            share = _spread(index)
            found.append((_middle(room_y, share), _middle(room_x, share), side))
        else:
            found.append((int(_uniform(draws) * (room_y + 1)), int(_uniform(draws) * (room_x + 1)), side))
    return found


def _middle(room: int, share: float) -> int:
    return int(room * share)  # the centre as ``downscaled`` has it: rounded down


def _spread(index: int) -> float:
    """Places from 0 to 1, each far from those before: the middle, both ends, the quarters, the odd eighths."""
    if index < 3:
        return (0.5, 0.0, 1.0)[index]
    level = (index - 1).bit_length() - 1
    return (2 * (index - 1 - 2**level) + 1) / 2 ** (level + 1)


def _uniform(draws: torch.Generator) -> float:
    return torch.rand((), generator=draws, dtype=torch.float64).item()


def full_size_windows(real: Pictures, size: int, generator: torch.Generator, each: int = _WINDOWS) -> Tensor:
    """``each`` uniformly placed windows of ``size`` px of every picture, unchanged, ``uint8`` (N, 3, size, size)."""
    sides = torch.full((len(real), each), size)
    found = draw_windows(real, size, sides, generator_for(generator.initial_seed(), "full-size windows"))
    return torch.stack([window for _, window in found])
