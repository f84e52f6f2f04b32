"""The methods that the command knows, by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from srdistill.distill.coverage import coverage
from srdistill.distill.shrunk import shrunk
from srdistill.distill.sources import Source


@dataclass(frozen=True)
class Method:
    """``select(sources, count, *, tile, scale, generator, work)`` yields at most ``count`` tiles, ``uint8`` (n, 3, tile,
    tile) of one source at a time; damaged pictures are noted in ``work.unreadable`` and left out. ``about``: one line. ``row``:
    how the rows of this method begin in the tables of the study."""

    select: Callable[..., Iterator[tuple[Source, Tensor]]]
    about: str
    row: str


METHODS = {
    "shrunk": Method(shrunk, "whole pictures, shrunk until their tiles fit into the budget", "downscaled"),
    "coverage": Method(coverage, "tiles of all scales, chosen so that they stand for the others", "pyramid coverage"),
}
