"""papers_tables/README.md: the board of claims and every table beside the printed one, made from the stored files."""

import json
from pathlib import Path

from srdistill.files import write_text
from srdistill.study.claims import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED
from srdistill.study.paths import TABLES

# The order in which profiles are shown: what is most worth quoting first.
ORDER = ("paper", "gpu", "laptop")
VERDICTS = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE)


def profiles_with_tables(root: Path = TABLES) -> list[str]:
    """The profiles that have results, the study's own only."""
    return [name for name in ORDER if any((root / name).glob("*.csv"))]


def read_claims(root: Path, profile: str) -> list[dict]:
    """All claims of a profile, in the order of the tables."""
    files = sorted((root / profile).glob("*.claims.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def board_lines(root: Path, profile: str) -> list[str]:
    """The board of one profile as a Markdown table."""
    lines = ["| table | claim | in the paper's own table | here | verdict |", "| --- | --- | --- | --- | --- |"]
    for claim in read_claims(root, profile):
        statement, sentence = (claim[name].replace("|", "\\|") for name in ("statement", "sentence"))
        lines.append(
            f"| {table_title(claim['table'])} | {f'“{sentence}”' if sentence else 'Our question.'} {statement} | "
            f"{claim['in_print']} | {claim['measured']} | **{claim['verdict']}** |"
        )
    return lines


def count_lines(root: Path, profile: str) -> list[str]:
    """How many claims of each paper ended how, its own sentences and our questions apart, as a Markdown table."""
    lines = ["| paper | whose | claims | " + " | ".join(VERDICTS) + " |", "| --- | --- | --- |" + " --- |" * len(VERDICTS)]
    claims = read_claims(root, profile)
    for paper in dict.fromkeys(claim["table"].partition("_")[0] for claim in claims):
        for whose, own in (("the paper's sentences", True), ("our questions", False)):
            found = [c["verdict"] for c in claims if c["table"].startswith(f"{paper}_") and bool(c["sentence"]) == own]
            counts = " | ".join(str(found.count(verdict)) for verdict in VERDICTS)
            lines.append(f"| {paper} | {whose} | {len(found)} | {counts} |")
    return lines


def table_title(name: str) -> str:
    """``dietz table 1`` for ``dietz_t1``; another name stays as it is."""
    paper, _, number = name.rpartition("_t")
    return f"{paper} table {number}" if number.isdigit() else name


def write_board(root: Path = TABLES) -> Path:
    """Write ``papers_tables/README.md`` anew."""
    text = [
        "# Tables",
        "",
        "Made by `make tables`; every number beside the printed one. Verdicts come from seeds (95 % interval of Student's t "
        "over the differences): an interval that crosses the line, or a single seed, is *inconclusive*. The column "
        "*in the paper's own table* asks the same question of the printed numbers.",
        "",
    ]
    for profile in profiles_with_tables(root):
        title = f"## Board of claims, `{profile}` profile"
        text += [title, "", *count_lines(root, profile), "", *board_lines(root, profile), ""]
    for profile in profiles_with_tables(root):
        text += [f"## Tables, `{profile}` profile", ""]
        for file in sorted((root / profile).glob("*.md")):
            text += [file.read_text().rstrip(), "", f"Files: {_links(root, profile, file.stem)}", ""]
    path = root / "README.md"
    write_text(path, "\n".join(text))
    return path


def _links(root: Path, profile: str, table: str) -> str:
    files = [f"{table}.csv", f"{table}.sizes.csv", f"{table}.tex", f"{table}.provenance.json"]
    files += [f"figures/{path.name}" for path in sorted((root / profile / "figures").glob(f"{table}_*.png"))]
    return ", ".join(f"[{Path(file).name}]({profile}/{file})" for file in files if (root / profile / file).exists())
