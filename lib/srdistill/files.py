"""Whole files or none: everything that is written goes through a temporary sibling and a rename.

Beside it what reading and reporting files needs everywhere: tensors with what they are about, hashes, errors in one line.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

# What ``read_tensors``, and making something of what it returns, may raise for a damaged file or one of something else.
UNREADABLE = (SafetensorError, TypeError, KeyError, ValueError)


class DiskError(OSError):
    """A file could not be written; the old one, if any, is untouched."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes ``path``'s place, on any error it is removed.

    Raises:
        DiskError: the disk is full or the file cannot be written; the message says which and where.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        # Without the fsync a crash can leave a renamed but empty file.
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskError(
                error.errno,
                f"no room to write {path} ({os.strerror(error.errno)}); free some space and run again: "
                "everything finished before is kept",
            ) from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)


def write_tensors(path: str | Path, kind: str, tensors: dict[str, Tensor], about: dict) -> None:
    """Write contiguous CPU tensors and what they are ``about`` (JSON values) as one safetensors file, atomically.

    ``tensors``: by name, of any shape. ``kind``: what is in it, in one word: ``read_tensors`` takes no other.
    """
    with atomic_path(path) as temporary:
        # Through memory: save_file hides a full disk behind an error of its own.
        temporary.write_bytes(save(tensors, metadata={kind: json.dumps(about)}))


def read_tensors(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict]:
    """The tensors, of any shape, of a file of this ``kind``, and what they are about.

    Raises:
        FileNotFoundError: no such file. One of ``UNREADABLE``: it is damaged, or something else.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if kind not in metadata:
            raise ValueError(f"it says nothing of a {kind}")
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata[kind])


def writable(folder: Path) -> bool:
    """Whether the folder, or as much of its path as is there, can be written to."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, as 64 digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def brief(error: BaseException) -> str:
    """What ``error`` says, in one line of at most 200 characters: torch lists every weight that does not fit."""
    return " ".join(str(error).split())[:200]
