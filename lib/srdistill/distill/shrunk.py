"""Whole pictures, shrunk: the simplest small training set, which none of the three papers beats.

Shrinking cleans a picture of noise and of what JPEG left, and gathers its detail: a shrunken pixel has more to learn from than
one of a full-size picture (Timofte et al. 2016, section 3.1, use it as augmentation; Dietz et al., tables 2 and 3, as a
baseline). A picture at level n is shrunk until its shorter side is n tiles, then cut into all tiles that fit, centred.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.distill.sources import Source
from srdistill.distill.work import Work
from srdistill.images.pictures import to_float, to_uint8
from srdistill.images.resize import resize
from srdistill.seeds import generator_for

_GOLDEN = (5**0.5 - 1) / 2
# Before level 1: the central tile of a picture at level 1, for the budgets that long pictures would burst.
_CENTRE = 0


@dataclass(frozen=True)
class Level:
    """A picture at a level: shrunk to ``height`` x ``width`` px and cut into ``rows`` x ``columns`` tiles."""

    height: int
    width: int
    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        """How many tiles it gives."""
        return self.rows * self.columns


def level_of(height: int, width: int, level: int, tile: int) -> Level:
    """A picture of ``height`` x ``width`` px at ``level``, 0 (the central tile of level 1) or more."""
    shorter, side = min(height, width), max(level, 1) * tile
    # Rounding half up, without floats: what both sides of a picture become does not depend on how it is held.
    high, wide = ((2 * length * side + shorter) // (2 * shorter) for length in (height, width))
    return Level(high, wide, 1, 1) if level == _CENTRE else Level(high, wide, high // tile, wide // tile)


def plan(sources: Sequence[Source], count: int, tile: int, generator: torch.Generator) -> list[tuple[Source, int]]:
    """Which pictures at which level give at most ``count`` tiles of ``tile`` px, in the order of ``sources``.

    All pictures get the central tile, then level 1, 2 and so on, as long as the budget lasts and nothing is enlarged. Those
    that come first at a level are spread evenly over the list: multiples of the golden ratio, from a random place on.
    """
    start = float(torch.rand((), generator=generator_for(generator.initial_seed(), "shrunk pictures")))
    order = sorted(range(len(sources)), key=lambda index: ((start + index * _GOLDEN) % 1, index))
    chosen: dict[int, int] = {}
    given = [0] * len(sources)
    total, level, open_ = 0, _CENTRE, True
    while open_:
        open_, tight = False, False
        for index in order:
            source = sources[index]
            if max(level, 1) * tile > min(source.height, source.width):
                continue
            tiles = level_of(source.height, source.width, level, tile).tiles
            if total - given[index] + tiles > count:
                tight = True
                continue
            total, given[index], chosen[index] = total - given[index] + tiles, tiles, level
            open_ = True
        open_, level = open_ and not tight, level + 1
    return [(sources[index], chosen[index]) for index in sorted(chosen)]


def cut(image: Tensor, level: int, tile: int) -> Tensor:
    """The tiles of ``tile`` px, ``uint8`` (n, 3, tile, tile), of a picture, ``uint8`` (3, H, W), at a level, row by row;
    antialiased bicubic."""
    at = level_of(*image.shape[1:], level, tile)
    if tuple(image.shape[1:]) != (at.height, at.width):
        image = to_uint8(resize(to_float(image), (at.height, at.width)))
    top, left = (at.height - at.rows * tile) // 2, (at.width - at.columns * tile) // 2
    whole = image[:, top : top + at.rows * tile, left : left + at.columns * tile]
    parts = whole.reshape(3, at.rows, tile, at.columns, tile).permute(1, 3, 0, 2, 4)
    return parts.reshape(-1, 3, tile, tile).contiguous()


def shrunk(
    sources: Sequence[Source], count: int, *, tile: int, scale: int, generator: torch.Generator, work: Work
) -> Iterator[tuple[Source, Tensor]]:
    """At most ``count`` tiles of ``tile`` px of whole pictures: picture after picture, ``uint8`` (n, 3, tile, tile) each.

    A picture that cannot be read leaves its place to others. ``scale`` makes no difference.
    """
    while True:
        before = len(work.unreadable)
        sources = [source for source in sources if source.name not in work.unreadable]
        jobs = [(source, f"shrunk to level {level}") for source, level in plan(sources, count, tile, generator)]
        for _ in work.each("shrinking pictures", jobs, lambda source, stage: _tiles(source, stage, tile)):
            pass
        if len(work.unreadable) == before:
            break
    for source, answer in work.each("writing tiles", jobs, lambda source, stage: _tiles(source, stage, tile)):
        yield source, answer["tiles"]


def _tiles(source: Source, stage: str, tile: int) -> dict[str, Tensor]:
    return {"tiles": cut(source.read(), int(stage.split()[-1]), tile)}
