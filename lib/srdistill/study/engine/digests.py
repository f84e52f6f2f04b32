"""The digest of pictures without reading them again: kept in the store for as long as their files are the same."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from srdistill.files import write_text
from srdistill.study.engine.keys import code_digest
from srdistill.study.engine.tasks import Resource

# What is larger on disk is not read for a digest alone.
_LARGEST = 1_000_000_000


def digest_of(pictures: Resource, places: Sequence[Path], root: Path) -> str | None:
    """The digest of hashed pictures that lie in ``places``; None if they were not read before and are too large for it.

    ``root``: of the store, where it is kept beside sizes and times of the files. Raises what the loader raises.
    """
    files = sorted({file for place in places for file in _files(place)})
    status = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    about = [sorted(pictures.settings.items()), code_digest(pictures.loader), status]
    path = root / "digests" / f"{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]}.json"
    try:
        return json.loads(path.read_text())["digest"]
    except (OSError, ValueError, KeyError):
        pass
    if sum(size for _, size, _ in status) > _LARGEST:
        return None
    # Not through the resource, which would keep the pictures.
    digest = pictures.loader(**pictures.settings).digest
    write_text(path, json.dumps({"digest": digest, "settings": dict(pictures.settings)}))
    return digest


def _files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
