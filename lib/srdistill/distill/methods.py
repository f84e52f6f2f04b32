"""The methods that the command knows, by name."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srdistill.distill.shrunk import shrunk
from srdistill.distill.sources import Source, Turned, reason
from srdistill.distill.work import Work


@dataclass(frozen=True)
class Method:
    """``select(sources, count, *, tile, scale, generator, work)`` yields at most ``count`` tiles, ``uint8`` (n, 3, tile,
    tile) of one source at a time; damaged pictures are noted in ``work.unreadable`` and left out. ``about``: one line. ``row``:
    how the rows of this method begin in the tables of the study."""

    select: Callable[..., Iterator[tuple[Source, Tensor]]]
    about: str
    row: str


def coverage(
    sources: Sequence[Source], count: int, *, tile: int, scale: int, generator: torch.Generator, work: Work
) -> Iterator[tuple[Source, Tensor]]:
    """Tiles of all scales that stand for the others, the most useful first (``papers.beyond.pyramid_coverage``).

    A source and its tiles, ``uint8`` (n, 3, tile, tile). Nothing is remembered: an interrupted selection begins anew. Where
    pictures turn out to be damaged, it is made twice.
    """
    # Here, as the other methods do not need it.
    from srdistill.papers.beyond.pyramid_coverage import pyramid_coverage

    def note(index: int, error) -> None:
        work.unreadable[sources[index].name] = reason(error, sources[index].path)

    while True:
        before = len(work.unreadable)
        sources = [source for source in sources if source.name not in work.unreadable]
        if not sources:
            return
        made = pyramid_coverage(
            Turned(sources, "one's own pictures"), scale=scale, generator=generator, tile=tile, workers=work.workers,
            budget=min(1.0, count * tile**2 / sum(source.pixels for source in sources)), unreadable=note,
        )  # fmt: skip
        # The budget was a share of damaged pictures as well.
        if len(work.unreadable) == before:
            break
    for image, label in zip(made.images, made.labels.tolist(), strict=True):
        yield sources[label], image[None]


METHODS = {
    "shrunk": Method(shrunk, "whole pictures, shrunk until their tiles fit into the budget", "downscaled"),
    "coverage": Method(coverage, "tiles of all scales, chosen so that they stand for the others", "pyramid coverage"),
}
