"""Finished work, kept: each entry is written whole, checked when read, and computed by one process at a time.

An entry is a JSON file (what was asked, the answer, the seconds, a checksum) and, for tensors, a safetensors file beside it.
The JSON is written last: without it there is no entry, so an interruption leaves nothing half done. Several machines may share
the folder.
"""

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from srdistill.files import atomic_path, write_text
from srdistill.training.checkpoint import Checkpoint

Maker = Callable[[Checkpoint], tuple[dict, Callable[[Path], None] | None]]


@dataclass(frozen=True)
class Entry:
    """A stored answer: JSON ``value``, the tensor file if there is one, the seconds that all attempts took, and whether it was
    just made."""

    key: str
    value: dict
    tensors: Path | None
    seconds: float
    fresh: bool


class Store:
    """Entries under ``root``: ``root/<kind>/<key>.json``."""

    def __init__(self, root: Path | str):
        self.root = Path(root)

    def path(self, kind: str, key: str, suffix: str = ".json") -> Path:
        """The file of an entry, or one beside it (a checkpoint, say)."""
        return self.root / kind / f"{key}{suffix}"

    def has(self, kind: str, key: str) -> bool:
        """Whether there is an entry, sound or not: what a plan asks of thousands."""
        return self.path(kind, key).exists()

    def get(self, kind: str, key: str) -> Entry | None:
        """The entry if it is there and sound, else None; a damaged one is no error: a warning names it."""
        path = self.path(kind, key)
        if not path.exists():
            return None
        try:
            body = json.loads(path.read_text())
            if body["checksum"] != _checksum(body):
                raise ValueError("its checksum is wrong")
            seconds = body["seconds"]
            if not (isinstance(seconds, int | float) and math.isfinite(seconds) and seconds >= 0):
                raise ValueError(f"its seconds are {seconds!r}")
            tensors = None
            if body["tensors"]:
                tensors = path.with_suffix(".safetensors")
                status = tensors.stat()
                if _hash_of(tensors, status.st_size, status.st_mtime_ns, status.st_ino) != body["tensors"]:
                    raise ValueError("its tensor file does not have the recorded checksum")
        except (ValueError, KeyError, TypeError, OSError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else error
            warnings.warn(f"stored {kind} {path.stem} is damaged ({why}); computing it again", stacklevel=3)
            return None
        return Entry(path.stem, body["value"], tensors, float(seconds), fresh=False)

    def fetch(self, kind: str, key: str, spec: dict, make: Maker) -> Entry:
        """The entry of ``key``; ``make`` computes (value, writer of the tensor file) if it is not there.

        Another process that computes the same entry is waited for, and its result is used. ``make`` gets a checkpoint, by which
        the seconds of interrupted attempts count.

        Raises DiskError if there is no room; what ``make`` raises.
        """
        path = self.path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=2)
        except Timeout:
            print(f"waiting for another run that computes the same {kind} …", flush=True)
            lock.acquire()
        try:
            entry = self.get(kind, key)
            if entry is not None:
                return entry
            checkpoint = Checkpoint(path.with_suffix(".checkpoint"), key)
            start = time.monotonic()
            value, write = make(checkpoint)
            seconds = round(max(checkpoint.seconds, time.monotonic() - start), 3)
            self._put(path, spec, value, write, seconds)
            checkpoint.clear()
            found = self.get(kind, key)
            return Entry(found.key, found.value, found.tensors, seconds, fresh=True)
        finally:
            lock.release()

    def _put(self, path: Path, spec: dict, value: dict, write: Callable[[Path], None] | None, seconds: float) -> None:
        body = {"spec": spec, "value": value, "tensors": "", "seconds": seconds}
        if write is not None:
            tensors = path.with_suffix(".safetensors")
            with atomic_path(tensors) as temporary:
                write(temporary)
            body["tensors"] = hashlib.sha256(tensors.read_bytes()).hexdigest()
        body = json.loads(json.dumps(body))  # as it will be read: keys are strings then
        body["checksum"] = _checksum(body)
        write_text(path, json.dumps(body))


@lru_cache(maxsize=4096)
def _hash_of(path: Path, size: int, changed: int, inode: int) -> str:
    """Of a file as it was then: an entry that is looked up a hundred times is hashed once."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checksum(body: dict) -> str:
    text = json.dumps([body["spec"], body["value"], body["tensors"], body["seconds"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
