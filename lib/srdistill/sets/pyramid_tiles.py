"""The tiles of all pyramids of a collection: where they lie and how they score; pixels are made again when asked for.

A tile takes 21 bytes, so that 10,000 pictures of 2 megapixels, with some 20 million tiles, need half a gigabyte.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from srdistill.images.convention import mod_crop
from srdistill.images.pictures import PictureError
from srdistill.images.resize import ScaleError
from srdistill.images.resize_memory import forget_matrices
from srdistill.measures.residual_energy import residual_energy
from srdistill.progress import bar
from srdistill.sets.pyramid import Pyramid

# Resizing matrices are kept for so many pixels of pictures: hundreds of small pictures, or two large ones.
_FORGET = 4_000_000


@dataclass(frozen=True)
class Tiles:
    """N tiles: ``picture`` int32, ``level`` int8 (a position in ``pyramid.levels``), ``top`` and ``left`` int32, px at that
    level, and ``score`` float64, all (N,). As they are found, tiles are sorted by picture, level, top, left.

    ``pixels``: of all pictures that were read, those too small for a tile among them. ``pictures``: how many gave tiles.
    ``too_small``: how many did not.
    """

    pyramid: Pyramid
    picture: Tensor
    level: Tensor
    top: Tensor
    left: Tensor
    score: Tensor
    pixels: int
    pictures: int
    too_small: int

    def __len__(self) -> int:
        return len(self.picture)

    def at(self, index: Tensor) -> "Tiles":
        """Some of them, by positions (n,), in that order, or by a mask (N,)."""
        fields = {name: getattr(self, name)[index] for name in ("picture", "level", "top", "left", "score")}
        return replace(self, **fields)

    def per_level(self) -> dict[str, int]:
        """How many tiles there are at each level, by the level's name."""
        counts = self.level.long().bincount(minlength=len(self.pyramid.levels)).tolist()
        return dict(zip(self.pyramid.names, counts, strict=True))


def scored_tiles(
    images: Sequence[Tensor],
    pyramid: Pyramid,
    scale: int,
    *,
    workers: int = 1,
    unreadable: Callable[[int, PictureError], None] | None = None,
) -> Tiles:
    """All tiles of all pictures, scored by ``residual_energy`` for super-resolution by ``scale``.

    A level is scaled down and up once as a whole, in the part that ``mod_crop`` to ``scale`` leaves, and tiles lie in that
    part. Scores do not depend on ``workers``.

    Args:
        images: ``uint8`` (3, H, W) each, asked for one at a time (``PicturesInTurn`` reads them from files).
        workers: threads, each with a picture of its own.
        unreadable: what to do with the position and the error of a picture that cannot be read, which is then left out. None:
            the error is raised.

    Raises:
        ScaleError: ``scale`` does not divide the tile. PictureError: no picture holds a tile; one cannot be read.
    """
    if pyramid.tile % scale:
        raise ScaleError(f"scale {scale} does not divide the tile of {pyramid.tile} px; use a multiple of {scale}")
    if workers < 1:
        raise PictureError(f"workers must be 1 or more, got {workers}")

    def scan(index: int):
        try:
            image = images[index]
        except PictureError as error:
            return error
        return image.shape[1] * image.shape[2], scan_picture(image, pyramid, scale)

    parts, pixels, since, small = [], 0, 0, 0
    with ThreadPoolExecutor(workers) as pool:
        # With one worker nothing runs ahead, and an interruption ends at once.
        results = map(scan, range(len(images))) if workers == 1 else pool.map(scan, range(len(images)))
        for index, result in enumerate(bar(results, "scoring tiles", total=len(images))):
            if isinstance(result, PictureError):
                if unreadable is None:
                    raise result
                unreadable(index, result)
                continue
            area, found = result
            pixels, since, small = pixels + area, since + area, small + (found is None)
            if found is not None:
                parts.append((torch.full((len(found[0]),), index, dtype=torch.int32), *found))
            if since > _FORGET:
                forget_matrices()
                since = 0
    if not parts:
        raise PictureError(
            f"none of {len(images)} pictures holds a tile of {pyramid.tile} px at the levels {', '.join(pyramid.names)}; "
            "use larger pictures or a smaller tile"
        )
    return Tiles(pyramid, *map(torch.cat, zip(*parts, strict=True)), pixels, len(parts), small)


def scan_picture(image: Tensor, pyramid: Pyramid, scale: int) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """Levels (n,), int8, tops, lefts, int32, and residual energies of all tiles of one picture ``uint8`` (3, H, W); None if it
    is smaller than a tile. ``scale``: that of super-resolution, which the energies are about."""
    rows = []
    for level in pyramid.levels_of(*image.shape[1:]):
        part = mod_crop(pyramid.shrunk(image, level), scale)
        tops, lefts = (pyramid.starts(side, level) for side in part.shape[1:])
        corners = torch.cartesian_prod(torch.tensor(tops), torch.tensor(lefts)).to(torch.int32)
        scores = residual_energy(part, pyramid.tile, tops, lefts, scale).flatten()
        rows.append((torch.full((len(corners),), level, dtype=torch.int8), corners[:, 0], corners[:, 1], scores))
    return tuple(map(torch.cat, zip(*rows, strict=True))) if rows else None


def each_picture(images: Sequence[Tensor], tiles: Tiles) -> Iterator[tuple[Tensor, Tensor]]:
    """Picture after picture that has tiles: their positions in ``tiles`` (n,) and pixels, ``uint8`` (n, 3, tile, tile)."""
    if not len(tiles):
        return
    order = tiles.picture.argsort(stable=True)
    pictures, counts = tiles.picture[order].unique_consecutive(return_counts=True)
    side, since = tiles.pyramid.tile, 0
    for label, part in zip(pictures.tolist(), order.split(counts.tolist()), strict=True):
        image = images[label]
        found = torch.empty(len(part), 3, side, side, dtype=torch.uint8)
        for level in tiles.level[part].unique().tolist():
            shrunk = tiles.pyramid.shrunk(image, level)
            for place in (tiles.level[part] == level).nonzero().flatten().tolist():
                top, left = int(tiles.top[part[place]]), int(tiles.left[part[place]])
                found[place] = shrunk[:, top : top + side, left : left + side]
        yield part, found
        since += image.shape[1] * image.shape[2]
        if since > _FORGET:
            forget_matrices()
            since = 0


def tile_pixels(images: Sequence[Tensor], tiles: Tiles) -> Tensor:
    """The tiles' pixels, ``uint8`` (N, 3, tile, tile), in their order; every picture that has some is read once."""
    side = tiles.pyramid.tile
    found = torch.empty(len(tiles), 3, side, side, dtype=torch.uint8)
    for part, pixels in each_picture(images, tiles):
        found[part] = pixels
    return found


def for_each_tile(
    images: Sequence[Tensor], tiles: Tiles, function: Callable[[Tensor], Tensor], what: str, batch: int = 128
) -> Tensor:
    """``function`` of all tiles, ``batch`` at a time: from ``uint8`` (n, 3, tile, tile) to (n, ...); the rows in their order.

    ``what``: a label for the progress bar. Pixels are held for one batch and one picture. Batches are filled across pictures,
    in the order of ``each_picture``.
    """
    found, places, pixels = None, [], []
    held = 0

    def flush():
        nonlocal found, places, pixels, held
        index, images_of = torch.cat(places), torch.cat(pixels)
        for part, chunk in zip(index.split(batch), images_of.split(batch), strict=True):
            rows = function(chunk)
            if found is None:
                found = rows.new_empty(len(tiles), *rows.shape[1:])
            found[part] = rows
        places, pixels, held = [], [], 0

    for part, chunk in bar(each_picture(images, tiles), what, total=len(tiles.picture.unique())):
        places.append(part)
        pixels.append(chunk)
        held += len(part)
        if held >= batch:
            flush()
    if held:
        flush()
    return found if found is not None else torch.empty(0)
