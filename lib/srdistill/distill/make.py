"""From a folder of pictures to a small training set in another: the command's work."""

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from srdistill.distill.budget import tiles_in
from srdistill.distill.card import card
from srdistill.distill.methods import METHODS
from srdistill.distill.problem import DistillError
from srdistill.distill.request import PARTIAL, Request, check_room, check_target
from srdistill.distill.sources import Found, find
from srdistill.distill.work import Work
from srdistill.files import write_text
from srdistill.sets.coding import Coding, cheapest
from srdistill.sets.mosaics import Written, mosaics, write_mosaics

# Photographs take so many bytes a pixel, for the first guess at how many tiles a budget of bytes holds.
_GUESS = 1.5
_ROUNDS = 8
# A budget of bytes that is used so far is used.
_FULL = 0.98


@dataclass(frozen=True)
class Made:
    """What came of a request: the folder, what was found and written, what turned out to be damaged (name and reason), and the
    seconds that this run took, with the pictures that it found finished."""

    request: Request
    found: Found
    written: Written
    unreadable: tuple[tuple[str, str], ...]
    seconds: float
    resumed: int


def distill(request: Request, workers: int = 1, command: str = "") -> Made:
    """Make a small training set, and ``card.md`` that says how; an interrupted run of the same request goes on.

    ``workers``: threads; the files do not depend on them. ``command``: for the card.

    Raises:
        DistillError: a request that cannot be met. DiskError: the disk is full; what is finished is kept.
    """
    started = time.perf_counter()
    if workers < 1:
        raise DistillError(f"--workers must be 1 or more, got {workers}")
    goes_on = check_target(request)
    found = find(request.source, request.tile)
    most = found.pixels // request.tile**2
    share = request.pixels_share
    count = tiles_in(share, found.pixels, request.tile) if share else _guess(request, most)
    partial = request.target / PARTIAL
    if goes_on:
        _check_same(request, found, partial)
    # Tiles lie in the partial run and in the files.
    check_room(request.target, 6 * count * request.tile**2)
    partial.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    try:
        with FileLock(partial / "lock", timeout=0):
            torch.set_num_threads(1)
            write_text(partial / "request.json", _identity(request, found))
            work = Work(partial, workers)
            if request.most_bytes:
                count = _count_within(request, found, work, most)
            written = _write(request, found, work, count)
            damaged = (*found.unreadable, *sorted(work.unreadable.items()))
            made = Made(request, found, written, damaged, time.perf_counter() - started, work.resumed)
            write_text(request.target / "card.md", card(made, command))
    except ValueError:
        # Nobody goes on from a request that cannot be met.
        if not goes_on:
            shutil.rmtree(partial)
            if not any(request.target.iterdir()):
                request.target.rmdir()
        raise
    except Timeout:
        raise DistillError(f"another run is writing to {request.target}; wait for it or name another --out") from None
    finally:
        torch.set_num_threads(threads)
    shutil.rmtree(partial)
    return made


def _tiles(request: Request, found: Found, work: Work, count: int) -> Iterator[tuple[Tensor, str]]:
    generator = torch.Generator().manual_seed(request.seed)
    select = METHODS[request.method].select
    for source, tiles in select(found.sources, count, tile=request.tile, scale=request.scale, generator=generator, work=work):
        yield from ((tile, source.name) for tile in tiles)


def _coding(request: Request) -> Coding | Callable[[Tensor], Coding]:
    return request.coding or (lambda tile: cheapest(tile, request.scale, request.share).coding)


def _write(request: Request, found: Found, work: Work, count: int) -> Written:
    tiles = _tiles(request, found, work, count)
    # Decided by the first tile, so that a set without any is an error with a reason.
    first = next(tiles, None)
    if first is None:
        name, why = min(work.unreadable.items(), default=(found.sources[0].name, "gave no tile"))
        raise DistillError(f"no picture under {request.source} gave a tile; the first is {name}: {why}")
    return write_mosaics(request.target, itertools.chain([first], tiles), _coding(request), request.side)


def _guess(request: Request, most: int) -> int:
    return max(1, min(most, int(request.most_bytes / (_GUESS * request.tile**2))))


def _count_within(request: Request, found: Found, work: Work, most: int) -> int:
    """How many tiles, at most ``most``, make files that fit into the budget of bytes and use nearly all of it."""
    while True:
        damaged = len(work.unreadable)
        count = _searched(request, found, work, most)
        # Others take the places of pictures that were found damaged after the answer was measured.
        if len(work.unreadable) == damaged:
            return count


def _searched(request: Request, found: Found, work: Work, most: int) -> int:
    count, best, low, high = _guess(request, most), 0, 0, most + 1
    for turn in itertools.count():
        check_room(request.target, 6 * count * request.tile**2)
        tiles = (tile for tile, _ in _tiles(request, found, work, count))
        total = sum(len(mosaic.data) for mosaic in mosaics(tiles, _coding(request), request.side))
        if total <= request.most_bytes:
            best = low = count
            full = total >= _FULL * request.most_bytes
        elif count == 1:
            raise DistillError(
                f"--bytes {request.bytes} is less than one tile of {request.tile} px takes as {request.format}, "
                f"{total:,} bytes; allow more, or use smaller tiles"
            )
        else:
            high, full = count, False
        if full or high - low <= 1 or (best and turn >= _ROUNDS):
            return best
        # In proportion, and into the middle where that leads out of what is known.
        count = count * request.most_bytes // max(total, 1)
        if not low < count < high:
            count = (low + high) // 2


def _identity(request: Request, found: Found) -> str:
    """All that the files depend on. The folder of pictures may have another name."""
    settings = {name: value for name, value in asdict(request).items() if name not in ("data", "out")}
    return json.dumps(settings | {"pictures": found.digest}, indent=1) + "\n"


def _check_same(request: Request, found: Found, partial: Path) -> None:
    try:
        before = json.loads((partial / "request.json").read_text())
    except (FileNotFoundError, ValueError):
        return  # interrupted before it began
    now = json.loads(_identity(request, found))
    other = [name for name in now if before.get(name) != now[name]]
    if other:
        said = ", ".join("other pictures" if name == "pictures" else f"{name} {before.get(name)!r}" for name in other)
        raise DistillError(
            f"--out {request.target} holds an interrupted run with other settings ({said}); "
            "give those again to go on, remove the folder, or name another"
        )
