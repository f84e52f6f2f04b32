"""Equal tiles packed into larger pictures: fewer files, and fewer bytes, as each file has a header and learns its codes anew.

A folder of mosaics is its pictures and ``index.csv`` with one line a tile: ``file,row,column,size,source``; row and column
count tiles, so that the tile lies at pixel (row * size, column * size). Cells beyond the last tile of a mosaic are in no line
and are never read. Tiles that are coded alike share mosaics. The blocks of jpeg are 8 px: tiles of a multiple of 8 px come out
of a mosaic as if they had been coded alone (colour is not subsampled).
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srdistill.files import atomic_path, write_text
from srdistill.sets.coding import Coding, CodingError, decode, encode
from srdistill.sets.distilled_set import SetError

INDEX = "index.csv"
_COLUMNS = ("file", "row", "column", "size", "source")
# Tiles along each side of a mosaic: 768 px for tiles of 96.
SIDE = 8
_BLOCK = 8
WEBP = Coding("webp")


@dataclass(frozen=True)
class Mosaic:
    """One picture of tiles: their positions in the set, row by row; the mosaic's columns; its bytes."""

    tiles: tuple[int, ...]
    columns: int
    coding: Coding
    data: bytes


@dataclass(frozen=True)
class Written:
    """A folder of mosaics: how many tiles, files, and bytes of pictures (the index does not count)."""

    tiles: int
    files: int
    bytes: int


def columns_of(count: int, side: int) -> int:
    """Tiles in a row of a mosaic of ``count``, ``side`` x ``side`` tiles at most: as near to a square as whole rows allow."""
    return min(side, math.ceil(math.sqrt(count)))


def mosaic_bytes(tiles: list[Tensor], coding: Coding, side: int = SIDE) -> bytes:
    """Tiles, ``uint8`` (3, t, t) each, 1 to ``side`` x ``side`` tiles, as one coded picture; empty cells are black."""
    size, columns = tiles[0].shape[-1], columns_of(len(tiles), side)
    rows = math.ceil(len(tiles) / columns)
    canvas = torch.zeros(3, rows * size, columns * size, dtype=torch.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * size, place % columns * size
        canvas[:, top : top + size, left : left + size] = tile
    return encode(canvas, coding)


def mosaics(tiles: Iterable[Tensor], coding: Coding | Callable[[Tensor], Coding] = WEBP, side: int = SIDE) -> Iterator[Mosaic]:
    """Pack tiles, square ``uint8`` (3, t, t) of one size, into mosaics of ``side`` x ``side`` tiles at most, as they come.

    ``coding``: of all, or what says it of each. A mosaic is yielded when it is full, the others at the end: no more than one of
    each coding is in memory.

    Raises:
        SetError: tiles of other shapes, or in a lossy coding of a size that its blocks do not divide. CodingError: they cannot
        be coded.
    """
    if side < 1:
        raise SetError(f"a mosaic has 1 tile or more along each side, got {side}")
    open_ones: dict[Coding, list[tuple[int, Tensor]]] = {}
    size = 0
    for index, tile in enumerate(tiles):
        size = size or tile.shape[-1]
        if tile.dtype != torch.uint8 or tuple(tile.shape) != (3, size, size) or not size:
            raise SetError(f"tile {index} is {tile.dtype} {tuple(tile.shape)}; all must be uint8 (3, {size}, {size})")
        how = coding(tile) if callable(coding) else coding
        if not how.lossless and size % _BLOCK:
            raise SetError(f"tiles of {size} px would share blocks of {how.name}; use a multiple of {_BLOCK} px or lossless")
        members = open_ones.setdefault(how, [])
        members.append((index, tile))
        if len(members) == side * side:
            yield _closed(open_ones.pop(how), how, side)
    for how in sorted(open_ones):
        yield _closed(open_ones[how], how, side)


def _closed(members: list[tuple[int, Tensor]], coding: Coding, side: int) -> Mosaic:
    data = mosaic_bytes([tile for _, tile in members], coding, side)
    return Mosaic(tuple(index for index, _ in members), columns_of(len(members), side), coding, data)


def cells(mosaic: Mosaic, size: int) -> Iterator[tuple[int, Tensor]]:
    """The tiles of a mosaic as they come back, of ``size`` px, ``uint8`` (3, size, size), each with its place in the set."""
    canvas = decode(mosaic.data)
    for place, index in enumerate(mosaic.tiles):
        yield index, _cell(canvas, place // mosaic.columns, place % mosaic.columns, size)


def write_mosaics(
    folder: str | Path,
    tiles: Iterable[tuple[Tensor, str]],
    coding: Coding | Callable[[Tensor], Coding] = WEBP,
    side: int = SIDE,
) -> Written:
    """Write tiles, ``uint8`` (3, t, t), each with the name of its source, as mosaics and ``index.csv`` into ``folder``.

    A mosaic holds ``side`` x ``side`` tiles at most; with ``side`` 1 every tile is a file of its own. Nothing else in
    the folder is touched. Raises SetError if there are no tiles, and what ``mosaics`` raises.
    """
    folder, sources = Path(folder), []

    def seen() -> Iterator[Tensor]:
        for tile, source in tiles:
            sources.append(source)
            yield tile.contiguous()

    lines: dict[int, tuple] = {}
    size = files = total = 0
    for mosaic in mosaics(seen(), coding, side):
        name = f"{'tile' if side == 1 else 'mosaic'}_{files:05d}{mosaic.coding.suffix}"
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(mosaic.data)
        size = size or decode(mosaic.data).shape[-1] // mosaic.columns
        for place, index in enumerate(mosaic.tiles):
            lines[index] = (name, place // mosaic.columns, place % mosaic.columns, size, sources[index])
        files, total = files + 1, total + len(mosaic.data)
    if not lines:
        raise SetError("no tiles to write; select some first")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_COLUMNS, *(lines[index] for index in range(len(lines)))])
    write_text(folder / INDEX, text.getvalue())
    return Written(len(lines), files, total)


def read_mosaics(folder: str | Path) -> tuple[Tensor, tuple[str, ...]]:
    """The tiles of a folder that ``write_mosaics`` wrote, ``uint8`` (N, 3, t, t), and the names of their sources, in order.

    Raises:
        SetError: no index, one that is damaged, or a mosaic that is missing, damaged or too small for its lines.
    """
    folder = Path(folder)
    lines = _read_index(folder / INDEX)
    tiles = torch.empty(len(lines), 3, lines[0][3], lines[0][3], dtype=torch.uint8)
    by_file: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        by_file.setdefault(line[0], []).append(index)
    for name, members in by_file.items():
        try:
            canvas = decode((folder / name).read_bytes())
        except FileNotFoundError:
            raise SetError(f"{folder / name}: no such file, though {INDEX} names it; make the set again") from None
        except CodingError as error:
            raise SetError(f"{folder / name}: {error}") from error
        for index in members:
            _, row, column, size, _ = lines[index]
            cell = _cell(canvas, row, column, size)
            if cell.shape != tiles.shape[1:]:
                raise SetError(f"{folder / name}: holds no tile of {size} px at row {row}, column {column}; make the set again")
            tiles[index] = cell
    return tiles, tuple(line[4] for line in lines)


def _cell(canvas: Tensor, row: int, column: int, size: int) -> Tensor:
    return canvas[:, row * size : (row + 1) * size, column * size : (column + 1) * size].contiguous()


def _read_index(path: Path) -> list[tuple[str, int, int, int, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            head, *lines = list(csv.reader(file))
        if tuple(head) != _COLUMNS or not lines:
            raise ValueError(f"columns must be {','.join(_COLUMNS)}, and at least one line follow them")
        return [(name, int(row), int(column), int(size), source) for name, row, column, size, source in lines]
    except FileNotFoundError:
        raise SetError(f"{path}: no such file; give the folder of tiles or mosaics") from None
    except (ValueError, csv.Error) as error:
        raise SetError(f"{path}: not an index of tiles, or damaged ({error}); make the set again") from error
