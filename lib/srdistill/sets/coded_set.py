"""A set at its price in bytes: as it comes back from its cheapest coding, and as many tiles as a number of bytes holds.

Bytes are what storing and sending costs; sets of equal pixels differ in them, as textures cost more than shrunken skies. Each
tile has the cheapest coding whose error stays under a share of what super-resolution is to learn (``sets.coding``), and tiles
that are coded alike share mosaics (``sets.mosaics``), whose bytes are counted.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from srdistill.sets.coding import FORMATS, QUALITIES, Coding, CodingError, cheapest, error_share
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.mosaics import SIDE, cells, mosaic_bytes, mosaics


def coded(
    made: DistilledSet,
    *,
    scale: int,
    share: float,
    qualities: tuple[int, ...] = QUALITIES,
    formats: tuple[str, ...] = FORMATS,
    side: int = SIDE,
) -> tuple[DistilledSet, int]:
    """The set as it comes back from its cheapest coding, and the encoded bytes.

    ``made``: square images, in mosaics of ``side`` x ``side`` tiles at most. ``share``: of the energy of the residual of
    bicubic x``scale``, the largest that an image's error may have; 0 is lossless. ``formats``: see ``cheapest``. With avif (on
    shrunken tiles of 96 px up to half the bytes of jpeg at the same share, and ten times the seconds) an image may lose a
    little more, as its filters reach over the borders of tiles, unless ``side`` is 1. The settings say the bytes, the share,
    the mean of what the images lost of it, and how many images each coding has. History and labels
    stay; snapshots, which show another set, go.

    Raises SetError for images that are not square, CodingError for a share below 0.
    """
    images, lost, how, total = torch.empty_like(made.images), [], Counter(), 0
    for mosaic in mosaics(made.images, _chooser(scale, share, qualities, formats), side):
        total += len(mosaic.data)
        how[mosaic.coding.name] += len(mosaic.tiles)
        for index, image in cells(mosaic, made.images.shape[-1]):
            images[index] = image
            lost.append(error_share(made.images[index], image, scale))
    settings = {
        "encoded_bytes": total,
        "error_share": share,
        "mean_error_share": sum(lost) / len(lost) if lost else 0.0,
        "codings": dict(sorted(how.items())),
    }
    method = f"{made.method}, coded" if share else f"{made.method}, lossless"
    return replace(made, images=images, method=method, settings=made.settings | settings, snapshots={}), total


def encoded_bytes(tiles: Tensor, *, scale: int, share: float, side: int = SIDE) -> int:
    """Bytes of ``uint8`` (N, 3, t, t) tiles in mosaics of at most ``side`` x ``side`` tiles, each at its cheapest coding."""
    return sum(len(mosaic.data) for mosaic in mosaics(tiles, _chooser(scale, share, QUALITIES, FORMATS), side))


def within_bytes(
    tiles: Tensor,
    most: int,
    *,
    scale: int,
    share: float,
    qualities: tuple[int, ...] = QUALITIES,
    formats: tuple[str, ...] = FORMATS,
    side: int = SIDE,
) -> int:
    """How many of the first tiles, ``uint8`` (N, 3, t, t) in order of preference, fit into ``most`` bytes as ``coded`` counts.

    Found by doubling, then by halving the interval; every mosaic is coded once. What is returned has been counted and fits.
    (One tile more may make its mosaic a few bytes smaller, so a larger number that fits by chance can be passed over.)

    ``side``: of a mosaic, ``side`` x ``side`` tiles at most. Raises SetError if not even the first fits.
    """
    price = _Price(tiles, _chooser(scale, share, qualities, formats), side)
    if not len(tiles) or price(1) > most:
        first = f"the first of {len(tiles)} tiles takes {price(1):,} bytes" if len(tiles) else "there are no tiles"
        raise SetError(f"{first}, the budget is {most:,} bytes; allow more, or use smaller tiles or a larger share")
    fits, fails = 1, 2
    while fails <= len(tiles) and price(fails) <= most:
        fits, fails = fails, 2 * fails
    fails = min(fails, len(tiles) + 1)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if price(middle) <= most:
            fits = middle
        else:
            fails = middle
    return fits


class _Price:
    """Bytes of the first so many tiles; codings and mosaics are remembered."""

    def __init__(self, tiles: Tensor, choose: Callable[[Tensor], Coding], side: int):
        self.tiles, self.choose, self.side = tiles, choose, side
        self.codings: list[Coding] = []
        self.known: dict[tuple[int, ...], int] = {}

    def __call__(self, count: int) -> int:
        self.codings += [self.choose(tile) for tile in self.tiles[len(self.codings) : count]]
        groups: dict[Coding, list[int]] = {}
        for index, coding in enumerate(self.codings[:count]):
            groups.setdefault(coding, []).append(index)
        full = self.side**2
        return sum(
            self._mosaic(tuple(members[first : first + full]), coding)
            for coding, members in groups.items()
            for first in range(0, len(members), full)
        )

    def _mosaic(self, members: tuple[int, ...], coding: Coding) -> int:
        if members not in self.known:
            self.known[members] = len(mosaic_bytes([self.tiles[index] for index in members], coding, self.side))
        return self.known[members]


def _chooser(scale: int, share: float, qualities: tuple[int, ...], formats: tuple[str, ...]) -> Callable[[Tensor], Coding]:
    if not share >= 0:
        raise CodingError(f"share of the residual's energy must be 0 or more, got {share}; 0 is lossless, 0.05 a usual one")
    if not share:
        return lambda tile: Coding("webp")
    return lambda tile: cheapest(tile, scale, share, qualities, formats).coding
