"""A notebook's last cell: everything written, or, if cells failed, an error that names them."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib.figure
import pandas as pd

from srdistill.files import write_text
from srdistill.study.export import record_sets
from srdistill.study.pages.describe import shares, sizes_frame
from srdistill.study.pages.figure_files import write_figure
from srdistill.study.pages.tables import notes, to_latex, to_markdown, wide_table
from srdistill.study.paths import TABLES
from srdistill.study.provenance import provenance
from srdistill.study.rows import CellsFailed, Results
from srdistill.study.study import Study
from srdistill.study.verdicts.claims import Claim
from srdistill.study.words import counted


def saved(study: Study, figure: matplotlib.figure.Figure, name: str) -> matplotlib.figure.Figure:
    """Write a figure beside the tables, and return it, so that the notebook shows it."""
    write_figure(figure, study.output / "figures" / f"{study.name}_{name}.png")
    return figure


def save_frame(study: Study, frame: pd.DataFrame, name: str, title: str) -> list[str]:
    """Write a plain table of facts as CSV and Markdown; return the file names.

    Columns that the table of an earlier run has and this one lacks, as its data set is not at hand, stay as they were, line by
    line of what stands in words; it is said which.
    """
    frame = _with_kept_columns(frame, TABLES / study.label / f"{name}.csv")
    write_text(study.output / f"{name}.csv", frame.to_csv(index=False))
    write_text(study.output / f"{name}.md", f"### {title}\n\n{frame.to_markdown(index=False)}\n")
    return [f"{name}.csv", f"{name}.md"]


def _with_kept_columns(frame: pd.DataFrame, earlier: Path) -> pd.DataFrame:
    if not earlier.exists():
        return frame
    old = pd.read_csv(earlier)
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    kept = [name for name in old if name not in frame]
    if not kept or not words or not set(words) <= set(old):
        return frame
    print(f"not measured in this run, and kept as they were: {', '.join(kept)}")
    joined = frame.merge(old[words + kept].drop_duplicates(words), on=words, how="left")
    return joined[[name for name in old if name in joined] + [name for name in joined if name not in old]]


def save_table(study: Study, results: Results, long: pd.DataFrame, claims: Sequence[Claim] = ()) -> list[str]:
    """Write CSV, sizes, Markdown, LaTeX, claims and provenance; return the file names.

    Raises:
        CellsFailed: some cells failed; nothing is written, the runner keeps the notebook beside and exits with 1.
    """
    if results.failures:
        listed = "\n".join(f"- {failure}" for failure in results.failures)
        raise CellsFailed(
            f"{counted(len(results.failures), 'part')} of {study.name} failed; the others are stored, so only these run "
            f"again:\n{listed}"
        )
    wide, lines = wide_table(long, study.table.shown), notes(study, results, long)
    sizes = sizes_frame(study, results.rows)
    body = "\n".join(f"- {line}" for line in lines)
    title = study.table.title
    caption = f"{title} ({study.profile.name} profile)"
    origin = provenance() | {
        "table": study.name,
        "profile": study.profile.name,
        "seeds": study.seeds,
        "pictures": study.digests,
        "tested_on": {name: len(pictures) for name, pictures in study.tests.items()},
        "headroom": {study.called(name): str(room) for name, room in study.headroom(study.per_picture(results)).items()},
        "lpips": study.lpips_note if study.lpips else "",
    }
    files = {
        ".csv": long.to_csv(index=False, float_format="%.6g"),
        ".sizes.csv": sizes.rename_axis("training set").to_csv(),
        ".md": f"### {title}\n\n{to_markdown(wide)}\n\n{shares(sizes).to_markdown(disable_numparse=True)}\n\n{body}\n",
        ".tex": to_latex(wide, caption, study.name),
        ".claims.jsonl": "".join(claim.to_json() + "\n" for claim in claims),
        ".provenance.json": json.dumps(origin, indent=1) + "\n",
    }
    for suffix, text in files.items():
        write_text(study.output / f"{study.name}{suffix}", text)
    record_sets(study, results.rows)
    return [f"{study.name}{suffix}" for suffix in files]
