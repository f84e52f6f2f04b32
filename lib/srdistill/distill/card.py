"""``card.md``: how a set was made, what it weighs, what was left out, how to train with it, what to expect of it."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srdistill.distill.methods import METHODS
from srdistill.papers.beyond.plan import PLANS
from srdistill.study.metrics import GAIN, METRICS, number
from srdistill.study.pages.tables import testset_title
from srdistill.study.paths import TABLES
from srdistill.study.provenance import provenance

if TYPE_CHECKING:
    from srdistill.distill.make import Made

# Measured by the study on photographs: budgets, scales, students. Of all metrics the two that say most.
_MEASURED = tuple(f"beyond_t{number}.csv" for number in (1, 2, 3, 4, 9, 10))
_SHOWN = ("psnr", GAIN)
_LISTED = 100

_CUT = """import csv
from PIL import Image

for line in csv.DictReader(open("index.csv", encoding="utf-8", newline="")):
    size, left, top = int(line["size"]), int(line["column"]) * int(line["size"]), int(line["row"]) * int(line["size"])
    tile = Image.open(line["file"]).convert("RGB").crop((left, top, left + size, top + size))
"""


def card(made: "Made", command: str) -> str:
    """The card in Markdown."""
    parts = [_head(made), _how(made, command), _sizes(made), _left_out(made), _training(made), _expected(made)]
    return "\n".join(parts)


def summary(made: "Made") -> str:
    """Two lines for the terminal."""
    found, written = made.found, made.written
    left = ", ".join(f"{count} {what}" for count, what in (
        (len(made.unreadable), "unreadable"), (len(found.small), "smaller than a tile")) if count)  # fmt: skip
    return (
        f"{written.tiles:,} tiles of {made.request.tile} px from {_pictures(made):,} pictures "
        f"({_pixels(made) / found.pixels:.3%} of the pixels, {written.bytes / 1e6:,.2f} of {found.bytes / 1e6:,.2f} MB) "
        f"in {made.seconds:.1f} s{'; left out: ' + left if left else ''}\nwritten to {made.request.target}"
    )


def _pixels(made: "Made") -> int:
    return made.written.tiles * made.request.tile**2


def _pictures(made: "Made") -> int:
    return len(made.found.sources) + len(made.found.small) - (len(made.unreadable) - len(made.found.unreadable))


def _head(made: "Made") -> str:
    return (
        f"# A small training set for super-resolution x{made.request.scale}\n\n"
        f"{made.written.tiles:,} tiles of {made.request.tile} x {made.request.tile} px, "
        f"{_pixels(made) / made.found.pixels:.3%} of the pixels of {_pictures(made):,} pictures. "
        f"`index.csv` says where each lies and which picture it comes from.\n"
    )


def _how(made: "Made", command: str) -> str:
    request, software = made.request, provenance()["software"]
    versions = ", ".join(f"{name} {software[name]}" for name in ("python", "torch", "pillow") if name in software)
    budget = f"{request.most_bytes:,} bytes of files" if request.most_bytes else f"{request.pixels_share:.4%} of the pixels"
    coding = f", at most {request.share:g} of a tile's residual energy lost" if request.format == "cheapest" else ""
    lines = [
        f"- method: {request.method}, {METHODS[request.method].about}",
        f"- budget: {budget}; tiles of {request.tile} px; seed {request.seed}",
        f"- format: {request.format}{coding}",
        f"- pictures: SHA-256 over names, sizes and times of change {made.found.digest}",
        f"- versions: {versions}, srdistill at commit {software['commit'][:12]}"
        + (" with changes" if software["uncommitted_code"] else ""),
        f"- seconds: {made.seconds:.1f}" + (f", with {made.resumed:,} answers of an interrupted run" if made.resumed else ""),
    ]
    said = f"\n```sh\n{command}\n```\n" if command else ""
    return "## How it was made\n" + said + "\n" + "\n".join(lines) + "\n"


def _sizes(made: "Made") -> str:
    found, written = made.found, made.written
    return (
        "## Sizes\n\n| | pictures or tiles | files | pixels | bytes |\n|---|---|---|---|---|\n"
        f"| before | {_pictures(made):,} | {_pictures(made):,} | {found.pixels:,} | {found.bytes:,} |\n"
        f"| after | {written.tiles:,} | {written.files:,} | {_pixels(made):,} | {written.bytes:,} |\n"
        f"| share | | | {_pixels(made) / found.pixels:.4%} | {written.bytes / found.bytes:.4%} |\n"
    )


def _left_out(made: "Made") -> str:
    small = made.found.small
    text = (
        f"## What was left out\n\n{len(made.unreadable):,} unreadable pictures, "
        f"{len(small):,} smaller than a tile. The folder of pictures was only read.\n"
    )
    damaged = [f"- `{name}`: {why}" for name, why in made.unreadable]
    return text + _listed(damaged, "unreadable") + _listed([f"- `{name}`: smaller than a tile" for name in small], "small")


def _listed(lines: Sequence[str], what: str) -> str:
    if not lines:
        return ""
    more = [f"- and {len(lines) - _LISTED:,} more {what} ones"] if len(lines) > _LISTED else []
    return "\n" + "\n".join([*lines[:_LISTED], *more]) + "\n"


def _training(made: "Made") -> str:
    scale = made.request.scale
    text = (
        f"## How to train with it\n\nUse the tiles as HR images; make LR by antialiased bicubic (MATLAB's `imresize`) with "
        f"factor 1/{scale}, draw crops of 32 to {made.request.tile} px within a tile, flip and turn them. Train as many steps "
        "as with all the pictures: a smaller set saves room and loading, not steps.\n"
    )
    if made.request.side == 1:
        return text + "\nEvery tile is a file of its own: name this folder as the HR folder of any trainer.\n"
    return text + (
        "\nFiles are mosaics of tiles: crops must not cross tiles. In Python, "
        "`srdistill.sets.mosaics.read_mosaics(folder)` gives all of them as one tensor; without this library:\n\n"
        f"```python\n{_CUT}```\n"
    )


def _expected(made: "Made", tables: Path = TABLES) -> str:
    title, row = "## Expected quality\n\n", METHODS[made.request.method].row
    rows = [line for name in _MEASURED for line in _measured(tables / "desktop" / name, row, made.request.scale)]
    if not rows:
        return title + f"Not measured for the method {made.request.method} at x{made.request.scale}.\n"
    lines = [
        f"| {line['row']} | {line['budget']} | {line['network']} | {testset_title(line['testset'])} "
        f"| {METRICS[line['metric']].title} | {number(float(line['mean']), line['metric'])} | {line['n']} |"
        for line in rows
    ]
    plan = PLANS["desktop"]
    return (
        title + "Of students trained on sets that this method made of the study's 291 pictures (notebooks 12 and 13), in tiles "
        f"of {plan.tile} px (larger) or {plan.small} px (smaller); gain is the share of the way from bicubic to full data. "
        "Other pictures give other numbers; those that were never compressed gain less by being shrunk (notebook 13).\n\n"
        "| training set | of the pixels | student | test set | measure | mean | seeds |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )


def _measured(path: Path, row: str, scale: int) -> list[dict]:
    """The lines of the study's table about a method and a scale; none where there is no such table."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    return [
        line for line in lines
        if line["row"].lower().startswith(row) and int(line["scale"]) == scale and line["metric"] in _SHOWN and line["mean"]
    ]  # fmt: skip
