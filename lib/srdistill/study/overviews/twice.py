"""The page of the tables that were made on two machines: which numbers and which verdicts are the same.

``<profile>/again`` has the CSV, claims and provenance of such tables as the other machine made them, with the same seeds.
"""

import json
from collections import Counter
from pathlib import Path

from srdistill.files import write_text
from srdistill.study.compare import Comparison
from srdistill.study.paper import tables
from srdistill.study.verdicts.board import TWICE, table_title
from srdistill.study.verdicts.claims import NO_POWER, OPEN, UNDECIDED

# The folder of the other machine's tables.
AGAIN = "again"
SAME, ONE_SIDE, POWER, TURNED = "the same", "decided on one side only", "with power on one side only", "turned round"
_INTRODUCTION = """\
Between kinds of processor sums are rounded in another order; training carries that on, and a student ends as far from where it
was as another seed does. These tables were made on two, with the same seeds, pictures and steps. Numbers are *the same*, or the
same *to the digits* shown, or *within the spread* (one standard deviation) of the first machine's seeds, or *not*."""


def how_alike(first: str, second: str) -> str:
    """How two verdicts on one claim compare, in words."""
    if first == second:
        return SAME
    if NO_POWER in (first, second):
        return POWER
    return ONE_SIDE if {first, second} & {OPEN, UNDECIDED} else TURNED


def write_twice(root: Path, profile: str) -> Path | None:
    """``<profile>/TWICE.md``; None, and nothing written, where no table was made twice. A comparison that several tables share
    counts once.

    Raises FileNotFoundError: a table of ``again`` without claims or provenance, or that the profile itself lacks.
    """
    first, again = root / profile, root / profile / AGAIN
    names = [name for name in tables() if (again / f"{name}.csv").exists()]
    if not names:
        return None
    numbers = ["| table | first on | again on | numbers | the same | to the digits | within the spread | not |",
               "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    total, pairs = Comparison(), {}
    for name in names:
        compared = Comparison()
        for one in (compared, total):
            one.add(name, *((folder / f"{name}.csv").read_text() for folder in (first, again)))
        machines = " | ".join(_machine(folder / f"{name}.provenance.json") for folder in (first, again))
        numbers.append(f"| {table_title(name)} | {machines} | {_counts(compared)} |")
        before, after = (_claims(folder / f"{name}.claims.jsonl") for folder in (first, again))
        for key, claim in before.items():
            if key in after:
                pairs.setdefault(claim["identity"], (claim, after[key]))
    numbers.append(f"| all | | | {_counts(total)} |")
    found = Counter(how_alike(before["verdict"], after["verdict"]) for before, after in pairs.values())
    counts = ", ".join(f"{found[how]} {how}" for how in (SAME, ONE_SIDE, POWER, TURNED))
    text = [
        f"# Made twice, `{profile}` profile", "", "[Front page](../README.md)", "", _INTRODUCTION, "", *numbers, "",
        f"Of {found.total()} verdicts: {counts}.", "",
        "| table | claim | first | verdict | again | verdict | how alike |", "| --- | --- | --- | --- | --- | --- | --- |",
        *(_line(*pair) for pair in pairs.values()), "",
    ]  # fmt: skip
    path = root / profile / TWICE
    write_text(path, "\n".join(text))
    return path


def _line(before: dict, after: dict) -> str:
    how = how_alike(before["verdict"], after["verdict"])
    statement = before["statement"].replace("|", "\\|")
    sides = " | ".join(f"{claim['measured']} | {claim['verdict']}" for claim in (before, after))
    return f"| {table_title(before['table'])} | {statement} | {sides} | {how if how == SAME else f'**{how}**'} |"


def _claims(file: Path) -> dict[str, dict]:
    return {claim["name"]: claim for line in file.read_text().splitlines() for claim in [json.loads(line)]}


def _machine(file: Path) -> str:
    machine = json.loads(file.read_text())["machine"]
    return f"{machine['processor']}, {machine['instructions']}"


def _counts(compared: Comparison) -> str:
    counts = [compared.exact, compared.close, compared.alike, len(compared.off)]
    return " | ".join(map(str, [sum(counts), *counts]))
