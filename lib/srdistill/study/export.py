"""Take the distilled sets of a table away: ``srdistill export dietz_t4``, or ``make export TABLE=dietz_t4``.

A notebook that saves its table leaves a list of the sets behind its rows in the store. Exporting reads that list, so a
method of one's own is exported like any other. ``formats`` has what can be written.
"""

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path

from srdistill.files import write_text
from srdistill.progress import bar
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.sets.learned_set import load_set
from srdistill.study.formats.basicsr import write_basicsr
from srdistill.study.formats.dd_ranking import write_dd_ranking
from srdistill.study.formats.mosaics import write_as_mosaics
from srdistill.study.formats.pictures import write_pictures
from srdistill.study.paths import BUILD, store_root
from srdistill.study.profiles import get_profile
from srdistill.study.provenance import provenance
from srdistill.study.rehearsal import label_of
from srdistill.study.rows import Row
from srdistill.study.study import Study
from srdistill.study.verdicts.board import table_title

# How a set is written, by the name of its format.
FORMATS = {
    "pictures": write_pictures, "basicsr": write_basicsr, "mosaics": write_as_mosaics, "dd-ranking": write_dd_ranking,
}  # fmt: skip


class NothingToExport(ValueError):
    """The table has not been made here, or a set of it is gone; the message says how to make it."""


def _listings(label: str) -> Path:
    return store_root() / "tables" / label


def record_sets(study: Study, rows: list[Row]) -> None:
    """Note which entries of the store hold the sets of a finished table, for ``export_table``."""
    sets = [
        {"row": f"{row.label}{where}", "seed": seed, "entry": task.key, "normalisation": study.normalisation(where)}
        for row in rows
        if row.method is not None
        for where, seed, task in study.set_tasks(row)
    ]
    origin = {"pictures": study.origin, "use": study.use, "commit": provenance()["software"]["commit"][:12]}
    write_text(_listings(study.label) / f"{study.name}.json", json.dumps({"sets": sets} | origin, indent=1) + "\n")


def export_table(
    table: str, profile: str = "", data: str = "", to: Path | None = None, row: str = "", form: str = "pictures",
    seed: int | None = None,
) -> Path:
    """Write every distilled set of a finished table as a folder with a README; return the folder of the table.

    Folders are ``<to>/<profile>/<table>/<row>/seed<n>``, in other formats than pictures with the format's name in place of the
    profile's; those of an earlier export are replaced. ``data``: the folder of one's own pictures that the table was made with.
    ``row``: that row alone, as the table has it or as its folder is called. ``form``: one of ``FORMATS``. ``seed``: that one
    alone.

    Raises:
        NothingToExport: no finished run of that table is known here, it has no such row, or a set is missing from the store or
        damaged. FormatError: the format cannot hold a set.
    """
    if form not in FORMATS:
        raise NothingToExport(f"unknown format {form!r}; there are: {', '.join(FORMATS)}")
    label = label_of(get_profile(profile).name, data)
    # Names are compared, never followed: what is asked for may look like a path.
    listings = {path.stem: path for path in _listings(label).glob("*.json")}
    if table not in listings:
        known = sorted(listings)
        raise NothingToExport(
            f"no sets of {table!r} in profile {label}; run its notebook first (make tables does all of them). "
            f"Tables with sets here: {', '.join(known) or 'none'}"
        )
    record = json.loads(listings[table].read_text())
    wanted = [item for item in record["sets"] if not row or row in (item["row"], _slug(item["row"]))]
    if not wanted:
        names = dict.fromkeys(item["row"] for item in record["sets"])
        raise NothingToExport(f"{table} has no row {row!r} with a set of its own; there are: {'; '.join(names)}")
    if seed is not None:
        seeds = sorted({item["seed"] for item in wanted})
        wanted = [item for item in wanted if item["seed"] == seed]
        if not wanted:
            raise NothingToExport(f"{table} has no seed {seed}; there are: {', '.join(map(str, seeds))}")
    for item in wanted:
        _load(item)  # before anything of an earlier export goes
    folder = (to or BUILD / "export") / (label if form == "pictures" else f"{label}-{form}") / table
    for item in wanted if row else [None]:
        shutil.rmtree(folder / _slug(item["row"]) if item else folder, ignore_errors=True)
    lines = []
    for item in bar(wanted, f"exporting {table}"):
        made = _load(item)
        about = {"table": table_title(table), "use": record["use"], "task": _task(item)} | item
        place = FORMATS[form](made, folder / _slug(item["row"]) / f"seed{item['seed']}", about)
        where, side = place.relative_to(folder), " x ".join(str(side) for side in made.images.shape[:1:-1])
        lines.append(f"| {item['row']} | {item['seed']} | `{where}` | {len(made)} | {side} | {made.method} |")
    table_lines = "\n".join(["| training set | seed | folder | images | px | method |", "|---|---|---|---|---|---|", *lines])
    write_text(
        folder / "README.md",
        f"# {table_title(table)}: the distilled sets\n\n"
        f"Made from {record['pictures']} in profile {label} (commit {record['commit']}). {record['use']} The README in each "
        f"folder says how its set was made.\n\n{table_lines}\n",
    )
    return folder


def _load(item: dict) -> DistilledSet:
    path = store_root() / "sets" / f"{item['entry']}.safetensors"
    again = "run the notebook again, which computes only what is missing"
    if not path.exists():
        raise NothingToExport(f"the set of {item['row']!r}, seed {item['seed']}, is gone from the store; {again}")
    try:
        return load_set(path)
    except SetError as error:
        raise NothingToExport(f"{error}; {again}") from error


def _task(item: dict) -> str:
    """In Hugging Face's words."""
    return "image-classification" if item.get("normalisation") else "image-to-image"


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="srdistill export",
        description="Write the distilled sets of a finished table as folders that trainers read.",
    )
    parser.add_argument("table", help="e.g. dietz_t4")
    parser.add_argument("--profile", default="", help="of the run (default: laptop)")
    parser.add_argument("--data", default="", help="the folder of your own pictures, if the run had one")
    parser.add_argument("--row", default="", help="that row alone, as the table has it (default: all of them)")
    parser.add_argument("--format", default="pictures", choices=list(FORMATS),
                        help="pictures: PNG files that any trainer, and Hugging Face's datasets, reads; basicsr: HR and LR "
                        "folders with a list and options; mosaics: tiles packed in lossless WebP; dd-ranking: images.pt "
                        "and labels.pt, of classes")  # fmt: skip
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="the sets of that seed alone (default: all)")
    parser.add_argument("--to", type=lambda text: Path(os.path.expanduser(text)), default=None,
                        help="where to write (default: build/export)")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        folder = export_table(given.table, given.profile, given.data, given.to, given.row, given.format, given.seed)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print((folder / "README.md").read_text())
    print(f"written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
