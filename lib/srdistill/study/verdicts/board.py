"""The front page of ``papers_tables`` and the pages behind it, made from the stored files.

``README.md`` has one screen for each profile: how much was run, what room the students had, how many claims ended how.
``<profile>/CLAIMS.md`` has the claims one by one, ``<profile>/TABLES.md`` every table beside the printed one,
``<profile>/ORDERS.md`` (of ``overviews.orders``) which rows come in the printed order, ``<profile>/TWICE.md`` (of
``overviews.twice``) what two kinds of machine say.
"""

import json
import math
from pathlib import Path

from srdistill.files import write_text
from srdistill.study.paper import tables
from srdistill.study.paths import TABLES
from srdistill.study.verdicts.claims import VERDICTS
from srdistill.study.verdicts.headlines import headline_lines
from srdistill.study.verdicts.intervals import holm
from srdistill.study.verdicts.remedies import remedy

# The plot of all printed rows, among the figures of a profile.
AGAINST_PRINT = "against_print.png"
# That of all claims.
FOREST = "claims.png"
# Those of what every set costs and brings: of super-resolution with EDSR, of classifiers, with perceptual losses.
PARETO = "pareto.png"
PARETO_CLASSES = "pareto_classes.png"
PARETO_PERCEPTUAL = "pareto_perceptual.png"
# That of quality over the size of a set.
SET_SIZE = "set_size.png"
# What follows the counts, in this order.
OVERVIEWS = {
    PARETO: "What every set that EDSR was trained on costs and brings",
    PARETO_CLASSES: "What every set of classifiers costs and brings",
    PARETO_PERCEPTUAL: "What every set costs and brings to students with perceptual losses",
    SET_SIZE: "Quality over the size of the set",
    AGAINST_PRINT: "Every row against the printed one",
    FOREST: "Every claim with its interval",
}
# What leads to a figure as lines and words, where it is more than photographs.
AS_SVG = "as SVG"
# The page of the printed rows' order.
ORDERS = "ORDERS.md"
# The page of the tables that were made on two machines.
TWICE = "TWICE.md"
# The order in which profiles are shown: the evidence, larger runs, the demonstration.
ORDER = ("desktop", "paper", "gpu", "laptop")


def profiles_with_tables(root: Path = TABLES) -> list[str]:
    """The profiles that have results, the study's own only."""
    return [name for name in ORDER if any((root / name).glob("*.csv"))]


def read_claims(root: Path, profile: str) -> list[dict]:
    """All claims of a profile, in the order of the tables."""
    return [json.loads(line) for file in in_order(root / profile, ".claims.jsonl") for line in file.read_text().splitlines()]


def in_order(folder: Path, ending: str) -> list[Path]:
    """The files of a folder with this ending, in the order of the tables that they are of; then all others, by name."""
    known = list(tables())

    def place(file: Path) -> tuple[int, str]:
        name = file.name.removesuffix(ending)
        found = [index for index, table in enumerate(known) if name == table or name.startswith(f"{table}_")]
        return (found[0] if found else len(known)), name

    return sorted(folder.glob(f"*{ending}"), key=place)


def once(claims: list[dict]) -> list[dict]:
    """Each comparison once, in the first of the tables that share it."""
    found: dict[str, dict] = {}
    for claim in claims:
        found.setdefault(claim["identity"], claim)
    return list(found.values())


def table_title(name: str) -> str:
    """``dietz table 1`` for ``dietz_t1``; another name stays as it is."""
    paper, _, number = name.rpartition("_t")
    return f"{paper} table {number}" if number.isdigit() else name


def count_lines(claims: list[dict]) -> list[str]:
    """How many claims of each paper ended how, its own sentences and our questions apart, as Markdown tables."""
    lines = []
    for own, whose in ((True, "the paper's sentences"), (False, "our own questions")):
        words = VERDICTS[own]
        lines += [f"| {whose} | claims | " + " | ".join(words) + " |", "| --- | --- |" + " --- |" * len(words)]
        known = tables()
        of = {claim["table"]: known[claim["table"]][0].name for claim in claims}
        for paper in dict.fromkeys(of.values()):
            found = [c["verdict"] for c in claims if of[c["table"]] == paper and bool(c["sentence"]) == own]
            counts = " | ".join(str(found.count(verdict)) for verdict in words)
            lines.append(f"| {paper} | {len(found)} | {counts} |")
        lines.append("")
    return lines


def changed_by_holm(claims: list[dict]) -> int:
    """How many decided verdicts would be open if all claims of the profile were judged together (Holm's correction)."""
    decided = [c for c in claims if c["verdict"] in {word for words in VERDICTS.values() for word in words[:2]}]
    kept = holm([math.nan if c["p"] is None else c["p"] for c in decided])
    return sum(not stays for stays in kept)


def head_lines(root: Path, profile: str) -> list[str]:
    """Seeds, test pictures, and every student's headroom, from the provenance of the tables."""
    origins = [json.loads(file.read_text()) for file in in_order(root / profile, ".provenance.json")]
    if not origins:
        return []
    seeds = sorted({len(origin["seeds"]) for origin in origins})
    tests = {name: count for origin in origins for name, count in origin.get("tested_on", {}).items()}
    rooms = {}
    for origin in origins:
        paper = origin["table"].partition("_")[0]
        rooms |= {f"{name} ({paper})": text for name, text in origin.get("headroom", {}).items()}
    return [
        f"Seeds: {', '.join(map(str, seeds))}. Test pictures: {', '.join(f'{n} {c}' for n, c in tests.items())}. "
        f"Full data above bicubic (or chance): {'; '.join(f'{name} {text}' for name, text in rooms.items())}.",
        "",
    ]


def claim_lines(claims: list[dict]) -> list[str]:
    """The claims as a Markdown table."""
    lines = ["| table | claim | in the paper's own table | here | verdict |", "| --- | --- | --- | --- | --- |"]
    for claim in claims:
        statement, sentence = (claim[name].replace("|", "\\|") for name in ("statement", "sentence"))
        why = f" ({claim['reason']})" if claim["reason"] else ""
        lines.append(
            f"| {table_title(claim['table'])} | {f'“{sentence}”' if sentence else 'Our question.'} {statement} | "
            f"{claim['in_print']} | {claim['measured']} | **{claim['verdict']}**{why} |"
        )
    return lines


def undecided_lines(claims: list[dict]) -> list[str]:
    """The claims that a run could not decide, each with its reason and what would decide it."""
    lines = ["| table | claim | here | why it is open | what would decide it |", "| --- | --- | --- | --- | --- |"]
    for claim in claims:
        needed = remedy(claim)
        if needed:
            statement = claim["statement"].replace("|", "\\|")
            why = claim["no_power"] or "the interval holds the line"
            lines.append(f"| {table_title(claim['table'])} | {statement} | {claim['measured']} | {why} | {needed} |")
    return lines


_INTRODUCTION = """\
# Tables

Made by `make tables`; every number beside the printed one. Intervals (95 %) count seeds and test pictures. A sentence of a
paper is *reproduced*, *not reproduced* or *undecided*; a question of our own is answered *yes*, *no* or *open*. Either has
*no power* where the student has no headroom over bicubic, where bicubic in the winner's place would pass too, where the
sentence is about a component that a small one trained here stands in for, or where the metric is not measured. Where the
interval shows that the difference is smaller than a fifth of the least headroom (0.1 dB, 0.002 SSIM, 0.004 LPIPS, 2 points of
accuracy), nothing is better, and the answer is no. A comparison that several tables share counts once.
"""


def write_board(root: Path = TABLES) -> Path:
    """Write the front page and the pages of every profile anew; return the front page."""
    text = [_INTRODUCTION]
    for rank, profile in enumerate(profiles_with_tables(root)):
        everything = read_claims(root, profile)
        claims = once(everything)
        text += [f"## `{profile}`", "", *head_lines(root, profile)]
        text += headline_lines(everything) if rank == 0 else []  # once, where the evidence is best
        text += count_lines(claims)
        text += [
            f"Under Holm's correction over all of them {changed_by_holm(claims)} of the decided verdicts would be open. "
            f"[The claims one by one]({profile}/CLAIMS.md) · [what is undecided, and what would decide it]"
            f"({profile}/UNDECIDED.md) · [the tables]({profile}/TABLES.md)",
            "",
        ]
        if (root / profile / TWICE).exists():
            text += [f"[What another kind of processor says]({profile}/{TWICE})", ""]
        for name, words in OVERVIEWS.items():
            if (root / profile / "figures" / name).exists():
                text += [f"![{words}]({profile}/figures/{name})", ""]
                vector = (root / profile / "figures" / name).with_suffix(".svg")
                text += [f"[{AS_SVG}]({profile}/figures/{vector.name})", ""] if vector.exists() else []
                text += [f"[Which rows come in the printed order]({profile}/{ORDERS})", ""] if name == AGAINST_PRINT else []
        page = [f"# Undecided claims, `{profile}` profile", "", "[Front page](../README.md)", "", *undecided_lines(claims), ""]
        write_text(root / profile / "UNDECIDED.md", "\n".join(page))
        page = [f"# Claims, `{profile}` profile", "", "[Front page](../README.md)", "", *claim_lines(everything), ""]
        write_text(root / profile / "CLAIMS.md", "\n".join(page))
        write_text(root / profile / "TABLES.md", "\n".join(_table_lines(root, profile)))
    path = root / "README.md"
    write_text(path, "\n".join(text))
    return path


def _table_lines(root: Path, profile: str) -> list[str]:
    lines = [f"# Tables, `{profile}` profile", "", "[Front page](../README.md)", ""]
    pages = ("CLAIMS.md", "TABLES.md", "UNDECIDED.md", ORDERS, TWICE)
    for file in [path for path in in_order(root / profile, ".md") if path.name not in pages]:
        lines += [file.read_text().rstrip(), "", f"Files: {_links(root, profile, file.stem)}", ""]
    return lines


def _links(root: Path, profile: str, table: str) -> str:
    files = [f"{table}.csv", f"{table}.sizes.csv", f"{table}.tex", f"{table}.provenance.json"]
    figures = sorted((root / profile / "figures").glob(f"{table}_*"))
    files += [f"figures/{path.name}" for path in figures if path.suffix in (".png", ".svg")]
    return ", ".join(f"[{Path(file).name}]({file})" for file in files if (root / profile / file).exists())
