"""Pictures that stay in their files until they are asked for: a data set that does not fit into memory."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import pooch
import torch
from torch import Tensor

from srdistill.images.pictures import PictureError, read_picture, to_float, to_uint8
from srdistill.images.resize import resize


class PictureFiles:
    """Stands for a tensor ``uint8`` (N, 3, size, size) where ``LabelledPictures`` has one: every read decodes files.

    ``size`` in px. It can be indexed, split and walked through as a tensor of pictures; what comes out are tensors. Nothing is
    kept.
    """

    dtype, ndim, device, nbytes = torch.uint8, 4, torch.device("cpu"), 0

    def __init__(self, paths: Sequence[Path], size: int):
        self.paths, self.size = tuple(paths), size

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> torch.Size:
        """As of the tensor."""
        return torch.Size((len(self), 3, self.size, self.size))

    def __getitem__(self, index: int | slice | Tensor | Sequence[int]) -> Tensor:
        if isinstance(index, int):
            return _squares([self.paths[index]], self.size)[0]
        return _squares(self.at(index).paths, self.size)

    def __iter__(self) -> Iterator[Tensor]:
        return (image for part in self.split(256) for image in part)

    def at(self, index: slice | Tensor | Sequence[int]) -> "PictureFiles":
        """Some of them, not read yet: by slice, positions (n,), or a mask (N,)."""
        if isinstance(index, slice):
            return PictureFiles(self.paths[index], self.size)
        index = torch.as_tensor(index)
        places = index.nonzero().flatten() if index.dtype == torch.bool else index
        return PictureFiles([self.paths[place] for place in places.tolist()], self.size)

    def split(self, count: int) -> Iterator[Tensor]:
        """``uint8`` (count, 3, size, size) at a time, in their order; the last may be fewer."""
        return (self[first : first + count] for first in range(0, len(self), count))

    def to(self, *target) -> "PictureFiles":
        """Itself: what is read lies on the CPU, and whoever needs it elsewhere moves it there."""
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 over size, names and contents of the files, which are read but not decoded.

        On each machine a file is hashed once: the result is kept under a hash of all paths, lengths and times of change.
        """
        states = [(path, path.stat()) for path in self.paths]
        state = hashlib.sha256(str(self.size).encode())
        for path, stat in states:
            state.update(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        known = Path(pooch.os_cache("srdistill")) / "digests" / state.hexdigest()
        if known.is_file() and len(text := known.read_text()) == 64:
            return text
        found = hashlib.sha256(str(self.size).encode())
        with ThreadPoolExecutor() as pool:
            for path, content in zip(self.paths, pool.map(_content, self.paths), strict=True):
                found.update(f"{path.name} {content}\n".encode())
        _remember(known, found.hexdigest())
        return found.hexdigest()


def square_picture(image: Tensor, size: int) -> Tensor:
    """``uint8`` (3, H, W) to ``uint8`` (3, size, size): the shorter side becomes ``size`` px, then the central square.

    Resized by MATLAB-style antialiased bicubic (``images.resize``). The usual evaluation on ImageNet enlarges the shorter
    side to 8/7 of the size first and so drops a border of 1/16; here the whole central square is kept.

    Raises PictureError: ``size`` below 1.
    """
    if size < 1:
        raise PictureError(f"pictures of {size} px cannot be made; ask for 1 px or more")
    height, width = image.shape[1:]
    shorter = min(height, width)
    target = tuple(round(side * size / shorter) for side in (height, width))
    if (height, width) != target:
        image = to_uint8(resize(to_float(image), target))
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return image[:, top : top + size, left : left + size].contiguous()


def _read(path: Path, size: int) -> Tensor:
    return square_picture(read_picture(path), size)


def _squares(paths: Sequence[Path], size: int) -> Tensor:
    if not paths:
        return torch.zeros(0, 3, size, size, dtype=torch.uint8)
    # Pillow decodes outside of Python's lock.
    with ThreadPoolExecutor() as pool:
        return torch.stack(list(pool.map(partial(_read, size=size), paths)))


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remember(place: Path, digest: str) -> None:
    temporary = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(digest)
        temporary.replace(place)
    except OSError:  # it only saves the next process some reading
        temporary.unlink(missing_ok=True)
