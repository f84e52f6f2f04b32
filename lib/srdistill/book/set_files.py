"""Sets that are committed beside their tables, those of a table packed as one file for whoever wants to take them away."""

import re
import shutil
from pathlib import Path

from srdistill.study.verdicts.board import table_title

# The folder of such sets, beside the tables; and of the packed ones, beside the pages.
_SETS = "sets"
# A line of their README: the row of the table, the seed.
_ROW = re.compile(r"^\| (.+?) \| \d+ \|", re.MULTILINE)


def tables_with_sets(root: Path, profile: str) -> list[str]:
    """Names of the tables that have sets beside them."""
    return sorted(path.name for path in (root / profile / _SETS).glob("*/"))


def pack_sets(root: Path, profile: str, folder: Path) -> None:
    """Write ``folder/sets/<profile>/<table>.zip`` for each of these tables. Raises OSError."""
    for name in tables_with_sets(root, profile):
        shutil.make_archive(str(folder / _SETS / profile / name), "zip", root / profile / _SETS / name)


def sets_line(root: Path, profile: str, table: str, up: str = "") -> str:
    """A paragraph of MyST Markdown that leads to the packed sets of such a table.

    ``up``: the way from the page to the folder that ``pack_sets`` wrote into, empty or with a slash at its end.
    """
    path = root / profile / _SETS / table
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
    rows = ", ".join(f"“{row}”" for row in dict.fromkeys(_ROW.findall((path / "README.md").read_text(encoding="utf-8"))))
    link = f"[`{table}.zip`]({up}{_SETS}/{profile}/{table}.zip)"
    return (
        f"To take away, lossless: {rows} of {table_title(table)}, {link} ({size:.1f} MB). The terms of the pictures behind it "
        "hold for it, too."
    )
