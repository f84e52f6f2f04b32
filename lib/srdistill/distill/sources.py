"""The pictures of a folder: found and measured without decoding them, read upright one at a time."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from srdistill.catalogue.upright import UNREAD, read_upright, size_of
from srdistill.distill.problem import DistillError
from srdistill.files import brief
from srdistill.images.pictures import SUFFIXES, PictureError


@dataclass(frozen=True)
class Source:
    """A picture in its file. ``name``: its path within the folder, readable on any system. ``height`` and ``width``: px, when
    it is held upright. ``bytes`` and ``changed`` (ns): of the file."""

    path: Path
    name: str
    height: int
    width: int
    bytes: int
    changed: int

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def identity(self) -> str:
        """Name, size and time of change, in one line: another line, another picture."""
        return f"{self.name}\t{self.bytes}\t{self.changed}"

    def read(self) -> Tensor:
        """The picture, ``uint8`` (3, height, width), turned as its EXIF data ask. Raises PictureError."""
        return read_upright(self.path)


@dataclass(frozen=True)
class Found:
    """What a folder holds: ``sources`` large enough for a tile, in the order of their names, the names of the ``small`` ones,
    and of the ``unreadable`` ones with the reason; ``pixels`` and ``bytes`` of all that can be read."""

    sources: tuple[Source, ...]
    small: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    pixels: int
    bytes: int

    @property
    def digest(self) -> str:
        """SHA-256 over names, sizes and times of change: the identity of the pictures for an interrupted run."""
        lines = [source.identity for source in self.sources]
        return hashlib.sha256("\n".join([*lines, *self.small, *(name for name, _ in self.unreadable)]).encode()).hexdigest()


class Turned(Sequence[Tensor]):
    """Sources as the wings' selectors take pictures: ``uint8`` (3, H, W) by position, decoded at every access; ``images``,
    ``names`` and ``origin`` beside. Raises PictureError, at access, for one that cannot be read."""

    def __init__(self, sources: Sequence[Source], origin: str):
        self.sources, self.origin = tuple(sources), origin
        self.names = tuple(source.name for source in self.sources)

    @property
    def images(self) -> "Turned":
        """Itself."""
        return self

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Tensor:
        return self.sources[index].read()


def find(folder: Path, tile: int) -> Found:
    """All pictures under ``folder``, whatever the case of their suffix; hidden files and folders are passed over, links to
    folders not followed. Sizes come from the headers: damage behind them shows when a picture is read. Kinds that are not read
    (``UNREAD``) are among the unreadable ones.

    Raises DistillError: no such folder, or no picture in it that can be read and holds a tile of ``tile`` px.
    """
    if not folder.is_dir():
        raise DistillError(f"--data: {folder} is not a folder; name a folder of pictures")
    sources, small, unreadable, pixels, total = [], [], [], 0, 0
    for path in _pictures(folder):
        name = _printable(path.relative_to(folder).as_posix())
        try:
            source = _measured(path, name)
        except PictureError as error:
            unreadable.append((name, reason(error, path)))
            continue
        pixels, total = pixels + source.pixels, total + source.bytes
        if min(source.height, source.width) < tile:
            small.append(name)
        else:
            sources.append(source)
    if not (sources or small or unreadable):
        raise DistillError(f"--data: {folder} holds no pictures; it needs files ending in {', '.join(SUFFIXES)}")
    if not sources and small:
        raise DistillError(
            f"none of the {len(small)} pictures under {folder} has {tile} px on its shorter side; "
            "use larger pictures or a smaller --tile"
        )
    if not sources:
        name, why = unreadable[0]
        raise DistillError(f"none of the {len(unreadable)} pictures under {folder} can be read; the first is {name}: {why}")
    return Found(tuple(sources), tuple(small), tuple(unreadable), pixels, total)


def reason(error: PictureError, path: Path) -> str:
    """What is wrong with a picture, without its path."""
    return brief(error).removeprefix(f"{path}: ")


def _pictures(folder: Path) -> Iterator[Path]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place) / name for name in files
                  if not name.startswith(".") and os.path.splitext(name)[1].lower() in (*SUFFIXES, *UNREAD)]  # fmt: skip
    yield from sorted(found, key=lambda path: os.fsencode(path.relative_to(folder)))


def _printable(name: str) -> str:
    """Names need not be UTF-8; the index and the card are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _measured(path: Path, name: str) -> Source:
    if path.suffix.lower() in UNREAD:
        raise PictureError(f"{path}: {path.suffix} files are not read; save it as PNG")
    height, width = size_of(path)
    try:
        state = path.stat()
    except OSError as error:
        raise PictureError(f"{path}: {brief(error)}") from None
    return Source(path, name, height, width, state.st_size, state.st_mtime_ns)
