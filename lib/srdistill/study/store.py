"""Finished work, kept: each entry is written whole, checked when read, and computed by one process at a time.

An entry is a JSON file (what was asked, the answer, a checksum) and, for tensors, a safetensors file beside it. The
JSON is written last: without it there is no entry, so an interruption leaves nothing half done.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from srdistill.files import atomic_path, write_text
from srdistill.study.identity import key_of


@dataclass(frozen=True)
class Entry:
    """A stored result: JSON ``value``, the tensor file if there is one, the seconds it took, and if it was just made."""

    key: str
    value: dict
    tensors: Path | None
    seconds: float
    fresh: bool


class Store:
    """Entries under ``root``; ``root/<kind>/<key>.json``."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def path(self, kind: str, spec: dict, suffix: str = ".json") -> Path:
        """The file of an entry, or one beside it (a checkpoint, say)."""
        return self.root / kind / f"{key_of(spec)}{suffix}"

    def get(self, kind: str, spec: dict) -> Entry | None:
        """The entry if it is there and sound; a damaged one is reported and ignored."""
        path = self.path(kind, spec)
        if not path.exists():
            return None
        try:
            body = json.loads(path.read_text())
            if body["checksum"] != _checksum(body):
                raise ValueError("its checksum is wrong")
            tensors = None
            if body["tensors"]:
                tensors = path.with_suffix(".safetensors")
                if hashlib.sha256(tensors.read_bytes()).hexdigest() != body["tensors"]:
                    raise ValueError("its tensor file does not have the recorded checksum")
        except (ValueError, KeyError, TypeError, OSError) as error:
            warnings.warn(f"stored {kind} {path.stem} is damaged ({error}); computing it again", stacklevel=3)
            return None
        return Entry(path.stem, body["value"], tensors, body["seconds"], fresh=False)

    def fetch(
        self, kind: str, spec: dict, make: Callable[[], tuple[dict, Callable[[Path], None] | None]]
    ) -> Entry:
        """The entry of ``spec``; ``make`` computes (value, writer of the tensor file) if it is not there.

        Another process that computes the same entry is waited for, and its result is used.
        """
        path = self.path(kind, spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=2)
        except Timeout:
            print(f"waiting for another run that computes the same {kind} …", flush=True)
            lock.acquire()
        try:
            entry = self.get(kind, spec)
            if entry is not None:
                return entry
            start = time.monotonic()
            value, write = make()
            seconds = round(time.monotonic() - start, 3)
            self._put(path, spec, value, write, seconds)
            found = self.get(kind, spec)
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
        body["checksum"] = _checksum(body)
        write_text(path, json.dumps(body))


def _checksum(body: dict) -> str:
    text = json.dumps([body["spec"], body["value"], body["tensors"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
