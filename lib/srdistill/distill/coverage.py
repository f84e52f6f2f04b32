"""Tiles of all scales that stand for the others: ``selecting.pyramid_coverage`` of ``papers.beyond`` in steps that are kept.

What comes of reading, shrinking, scoring and embedding the pictures is remembered. The choice among the candidates, which needs
all of them, is made anew.
"""

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from srdistill.distill.problem import DistillError
from srdistill.distill.sources import Source, Turned
from srdistill.distill.work import Work
from srdistill.images.pictures import PictureError
from srdistill.papers.beyond.selecting.pyramid_coverage import Coverage
from srdistill.papers.beyond.tiles.facility_location import facility_location
from srdistill.papers.beyond.tiles.spectrum_embedding import spectrum_embedding
from srdistill.papers.beyond.tiles.tile_budget import first_capped, tile_cap, tile_count
from srdistill.papers.beyond.tiles.tile_embedding import unit_rows
from srdistill.papers.beyond.tiles.trimming import thinned, trimmed
from srdistill.sets.pyramid import Pyramid

# By picture and without a bar of its own: that of the work says how far it is.
from srdistill.sets.pyramid_tiles import Tiles, each_picture, scan_picture, tile_pixels

# As many as ``embedded`` takes: the last bits of a matrix product may depend on how many rows it has.
_BATCH = 64


def coverage(
    sources: Sequence[Source], count: int, *, tile: int, scale: int, generator: torch.Generator, work: Work
) -> Iterator[tuple[Source, Tensor]]:
    """The tiles that ``pyramid_coverage`` chooses with its usual settings from the pictures that can be read, bit for bit.

    A source and one of at most ``count`` tiles of ``tile`` px, ``uint8`` (1, 3, tile, tile), at a time, the most useful first.

    Raises:
        SelectionError: too few candidates for so many tiles. DistillError, PictureError: a picture that could be read cannot be
        read again.
    """
    settings = Coverage()
    pictures, everything = _scored(sources, Pyramid(tile, settings.stride, settings.levels), scale, work)
    if everything is None:
        return
    count = tile_count(min(1.0, count * tile**2 / everything.pixels), everything.pixels, tile)
    tiles = everything.at(trimmed(everything, settings.low, settings.high))
    tiles = tiles.at(thinned(tiles, settings.per_picture, generator))
    cap = tile_cap(settings.cap, count, tiles.pictures)
    # Says in tiles what is missing, and how to mend it, before the work goes on.
    first_capped(torch.arange(len(tiles)), tiles.picture, count, cap)
    rows = _embedded(pictures, tiles, scale, work)
    chosen = facility_location(rows, budget=count, generator=generator, groups=tiles.picture, cap=cap, ground=settings.ground)
    kept = tiles.at(chosen)
    for image, label in zip(tile_pixels(pictures, kept), kept.picture.tolist(), strict=True):
        yield pictures.sources[label], image[None]


def _scored(sources: Sequence[Source], pyramid: Pyramid, scale: int, work: Work) -> tuple[Turned, Tiles | None]:
    """The pictures that can be read and all their tiles, as ``scored_tiles`` gives them; None where there is no picture."""

    def scan(source: Source, _: str) -> dict[str, Tensor]:
        found = scan_picture(source.read(), pyramid, scale)
        if found is None:
            raise PictureError(f"{source.path}: smaller than a tile of {pyramid.tile} px")
        return dict(zip(("level", "top", "left", "score"), found, strict=True))

    readable, parts = [], []
    for source, found in work.each("scoring pictures", [(source, f"scores x{scale} {pyramid}") for source in sources], scan):
        picture = torch.full((len(found["score"]),), len(readable), dtype=torch.int32)
        parts.append((picture, found["level"], found["top"], found["left"], found["score"]))
        readable.append(source)
    pictures = Turned(readable, "one's own pictures")
    if not readable:
        return pictures, None
    pixels = sum(source.pixels for source in readable)
    return pictures, Tiles(pyramid, *map(torch.cat, zip(*parts, strict=True)), pixels, len(readable), 0)


def _embedded(pictures: Turned, tiles: Tiles, scale: int, work: Work) -> Tensor:
    """What ``embedded`` makes of tiles that are sorted by picture: float32 (N, d) rows of length 1."""
    embedding = spectrum_embedding(scale)
    jobs, groups = [], {}
    for part in _groups(tiles.picture):
        some = tiles.at(part)
        stage = f"{embedding.name} x{scale} {tiles.pyramid} {_digest(pictures, some)}"
        jobs.append((pictures.sources[int(some.picture[0])], stage))
        groups[stage] = some

    def features(_: Source, stage: str) -> dict[str, Tensor]:
        try:
            pixels = torch.cat([pixels for _, pixels in each_picture(pictures, groups[stage])])
        except PictureError as error:
            raise DistillError(f"{error}; it could be read before: make the set anew of pictures that stay there") from error
        return {"features": torch.cat([embedding.features(chunk).float() for chunk in pixels.split(_BATCH)])}

    found, done = None, 0
    for _, answer in work.each("embedding tiles", jobs, features):
        if found is None:
            # Filled as they come: a list of parts and the whole beside it would take twice the memory.
            found = torch.empty(len(tiles), answer["features"].shape[1])
        found[done : done + len(answer["features"])] = answer["features"]
        done += len(answer["features"])
    return unit_rows(found, embedding.standardise)


def _groups(picture: Tensor) -> list[slice]:
    """Positions of the tiles of picture after picture, until they fill a batch; then the next group: what ``for_each_tile``
    works on at a time."""
    found, start, stop = [], 0, 0
    for count in picture.unique_consecutive(return_counts=True)[1].tolist():
        stop += count
        if stop - start >= _BATCH:
            found.append(slice(start, stop))
            start = stop
    return found + ([slice(start, stop)] if stop > start else [])


def _digest(pictures: Turned, tiles: Tiles) -> str:
    """Which tiles these are: SHA-256 over their pictures and places."""
    labels, counts = tiles.picture.unique_consecutive(return_counts=True)
    digest = hashlib.sha256("\n".join(pictures.sources[label].identity for label in labels.tolist()).encode())
    for values in (counts, tiles.level, tiles.top, tiles.left):
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()
