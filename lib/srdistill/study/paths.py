"""Where things lie: absolute paths, whatever folder a notebook runs in."""

import os
from pathlib import Path

_HERE = Path(__file__).resolve().parents[3]
# The checkout; of a library that was installed without one, the folder it is used in.
ROOT = _HERE if (_HERE / "lib" / "srdistill").is_dir() else Path.cwd()
NOTEBOOKS = ROOT / "notebooks"
TABLES = ROOT / "papers_tables"
PUBLISHED = TABLES / "published"
BUILD = ROOT / "build"

# The runner sets it: tables and figures are collected there and moved into place when the whole notebook succeeded.
STAGING = "SRDISTILL_STAGING"


def store_root() -> Path:
    """The folder of finished cells: ``SRDISTILL_STORE`` or ``build/store``."""
    return Path(os.environ.get("SRDISTILL_STORE") or BUILD / "store")


def output_root(label: str) -> Path:
    """Where a notebook writes its tables: the runner's staging folder, or ``build/interactive/<label>``."""
    return Path(os.environ.get(STAGING) or BUILD / "interactive" / label)
