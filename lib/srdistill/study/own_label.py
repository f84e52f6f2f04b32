"""What the tables of one's own pictures are called, the same for runs, tasks and export."""

import hashlib
import json
from pathlib import Path

from filelock import FileLock

from srdistill.files import write_text
from srdistill.study.paths import store_root

# In the store's folder: which folder of pictures has which label.
REGISTRY = "own_folders.json"


def own_label(data: str) -> str:
    """``own-<name>`` for a folder of pictures, whatever way it is written (``..``, ``~``, a link); a second folder of that
    name has six digits of the hash of its path besides, so that neither replaces the other's tables."""
    folder = Path(data).expanduser().resolve()
    plain = f"own-{folder.name or 'root'}"
    root = store_root()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{REGISTRY}.lock"):
        try:
            known = json.loads((root / REGISTRY).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            known = {}
        holder = known.get(plain, str(folder))
        label = plain if holder == str(folder) else f"{plain}-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"
        if known.get(label) != str(folder):
            write_text(root / REGISTRY, json.dumps(known | {label: str(folder)}, indent=1) + "\n")
    return label
