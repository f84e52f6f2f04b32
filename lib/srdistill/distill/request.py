"""What is asked for, checked before any work is done."""

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from srdistill.distill.budget import parse_bytes, parse_share
from srdistill.distill.methods import METHODS
from srdistill.distill.problem import DistillError
from srdistill.sets.coding import Coding

SCALES = (2, 3, 4)
# What the files are: the coding of tiles (none: the cheapest of each), and whether tiles share files.
FORMATS = {
    "png": "one PNG file a tile, which any trainer reads",
    "webp": "mosaics in lossless WebP: a fifth smaller, a sixty-fourth of the files",
    "cheapest": "mosaics, each tile in the cheapest coding that costs at most --share of what is to be learned",
}
# Side of a tile's LR image: at x2 small tiles train as well as larger ones, and better where the budget is small; at x4 whole
# pictures in small tiles are shrunk too far (tables 2 and 3 of notebook 12).
LR_SIDE = 24
# While a run is under way; what it has finished lies in here.
PARTIAL = ".partial"
_BUDGET = "1%"


@dataclass(frozen=True)
class Request:
    """A small training set from the pictures under ``data``, in the new folder ``out``.

    ``budget``: a share of the pixels, as ``1%``; or ``bytes``: of the files written, as ``5MB``; neither: 1 %. ``scale``: of
    the super-resolution that will be trained. ``tile``: px; None: ``LR_SIDE`` times the scale. ``method``: one of ``METHODS``.
    ``format``: one of ``FORMATS``. ``share``: for the format ``cheapest``, the most that coding may cost of a tile's residual
    energy. ``seed``: of all draws.
    """

    data: str
    out: str = ""
    budget: str = ""
    bytes: str = ""
    scale: int = 4
    tile: int | None = None
    method: str = "shrunk"
    format: str = "png"
    share: float = 0.05
    seed: int = 0

    def __post_init__(self):
        if not self.data:
            raise DistillError("no folder of pictures; name one with --data FOLDER (make distill DATA=FOLDER)")
        if self.budget and self.bytes:
            raise DistillError(f"--budget {self.budget} and --bytes {self.bytes}: give one of the two")
        if self.method not in METHODS:
            raise DistillError(f"unknown --method {self.method!r}; there are: {', '.join(METHODS)}")
        if self.format not in FORMATS:
            raise DistillError(f"unknown --format {self.format!r}; there are: {', '.join(FORMATS)}")
        if self.scale not in SCALES:
            raise DistillError(f"--scale {self.scale} is none of {', '.join(map(str, SCALES))}")
        if self.tile is None:
            object.__setattr__(self, "tile", LR_SIDE * self.scale)
        step = math.lcm(self.scale, 8) if self.format == "cheapest" else self.scale
        if self.tile < 16 or self.tile % step:
            raise DistillError(f"--tile {self.tile} must be a multiple of {step}, 16 or more; 96 suits every scale and format")
        if not 0 <= self.share <= 1:
            raise DistillError(f"--share {self.share:g} must be between 0 (lossless) and 1")
        # Says what is wrong with either.
        _ = self.pixels_share, self.most_bytes

    @property
    def pixels_share(self) -> float | None:
        """The budget as a share of the pixels in (0, 1]; None where it is one of bytes."""
        return None if self.bytes else parse_share(self.budget or _BUDGET)

    @property
    def most_bytes(self) -> int | None:
        """The budget in bytes of files; None where it is a share of the pixels."""
        return parse_bytes(self.bytes) if self.bytes else None

    @property
    def source(self) -> Path:
        """The folder of pictures."""
        return Path(self.data).expanduser().resolve()

    @property
    def target(self) -> Path:
        """The folder that is written: ``distilled_<name>`` in the current one where no other is named."""
        return Path(self.out).expanduser().resolve() if self.out else Path.cwd() / f"distilled_{self.source.name}"

    @property
    def side(self) -> int:
        """Tiles along each side of a file."""
        return 1 if self.format == "png" else 8

    @property
    def coding(self) -> Coding | None:
        """Of all files; None where each tile has its own."""
        return None if self.format == "cheapest" else Coding(self.format)


def check_target(request: Request) -> bool:
    """Whether the output folder holds an interrupted run; else it is empty or not there.

    Raises DistillError: it lies in the folder of pictures, is a file, holds something else, or cannot be written to.
    """
    source, target = request.source, request.target
    if target == source or source in target.parents:
        raise DistillError(f"--out {target} lies inside the folder of pictures {source}, which is only read; name another")
    if target.exists() and not target.is_dir():
        raise DistillError(f"--out {target} is a file; name a folder that is empty or new")
    if (target / PARTIAL).is_dir():
        return True
    if target.is_dir() and any(target.iterdir()):
        raise DistillError(f"--out {target} is not empty; name a folder that is empty or new, or remove what it holds")
    place = _existing(target)
    if not os.access(place, os.W_OK):
        raise DistillError(f"--out {target} cannot be written: no permission in {place}; name another folder")
    return False


def check_room(target: Path, needed: int) -> None:
    """Raise DistillError unless the disk of ``target`` has ``needed`` bytes free."""
    free = shutil.disk_usage(_existing(target)).free
    if free < needed:
        raise DistillError(
            f"too little room for {target}: up to {needed / 1e6:,.1f} MB are needed and {free / 1e6:,.1f} MB are free; "
            "free some space, name another disk with --out, or ask for less"
        )


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
