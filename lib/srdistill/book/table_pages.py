"""A page for each table: our numbers beside the printed ones, to be sorted and searched, with its notes and figures."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import itables
import pandas as pd
from itables.javascript import generate_init_offline_itables_html

from srdistill.book.captions import described, figure, has_vector
from srdistill.book.set_files import sets_line, tables_with_sets
from srdistill.study.pages.tables import NOT_RUN, read_table, wide_table
from srdistill.study.paper import Table

# DataTables as one script among the site's own files, so that no other host is asked and pages open from a disk, too.
SCRIPT = "itables.js"
_RAW = "```{{raw}} html\n{0}\n```"
# A cell of a column of numbers is one, maybe marked or with its spread; or a difference and all that is said of it; or none.
_NUMBER, _WITHOUT = re.compile(r"[+-]?[\d.,]+[†?]?( ± .*)?|[+-]\d.*"), ("", "not run", NOT_RUN)
# How DataTables is to order such a column: by what its cells begin with, those without a number last in either direction. A
# type of cells has an order for each direction, while one way to read a cell for ordering would not know which is asked for.
_ORDER = """
window.{name}.then(({{jQuery}}) => {{
  const order = (sign) => (a, b) => isNaN(a) - isNaN(b) || sign * (a - b) || 0;
  jQuery.fn.dataTable.type("measured", {{
    order: {{pre: (cell) => parseFloat(cell.replaceAll(",", "")), asc: order(1), desc: order(-1)}},
  }});
}});
"""
# The list of contents beside a page takes the room that a wide table needs.
_WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---"


def table_page(root: Path, profile: str, table: Table) -> str:
    """The page in MyST Markdown. Figures are taken from ``figures/<profile>`` beside the folder of the pages."""
    folder = root / profile
    lines = (folder / f"{table.name}.md").read_text(encoding="utf-8").splitlines()
    notes = [line for line in lines if line.startswith("- ")]
    parts = _head(lines[0], profile, table)
    wide = wide_table(read_table(folder / f"{table.name}.csv"), table.shown).reset_index()
    wide.columns = [" ".join(filter(None, name)) if isinstance(name, tuple) else name for name in wide.columns]
    parts += ["## Ours beside the printed numbers", _sortable(wide)]
    sizes = folder / f"{table.name}.sizes.csv"
    if sizes.exists():
        parts += ["## What a set takes", _sortable(_with_thousands(pd.read_csv(sizes)))]
    if table.name in tables_with_sets(root, profile):
        parts += [sets_line(root, profile, table.name, "../../")]
    claims = folder / f"{table.name}.claims.jsonl"
    if claims.exists():
        parts += ["## Claims", _sortable(_claims(claims), wrap=True)]
    figures = [_figure(path, profile) for path in sorted((folder / "figures").glob(f"{table.name}_*.png"))]
    parts += ["## Figures", *figures] if figures else []
    return "\n\n".join([*parts, "## Notes", *notes]) + "\n"


def frames(root: Path, profile: str, table: Table) -> list[str]:
    """Names of the plain tables of facts that the notebook of this table writes beside it, or instead of it."""
    found = sorted((root / profile).glob(f"{table.name}_*.csv"))
    return [path.stem for path in found if path.with_suffix(".md").exists()]


def frame_page(root: Path, profile: str, table: Table, name: str) -> str:
    """The page of one of these ``frames`` in MyST Markdown, with every number as it is written there."""
    path = root / profile / f"{name}.csv"
    title = path.with_suffix(".md").read_text(encoding="utf-8").splitlines()[0]
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return "\n\n".join([*_head(title, profile, table), _sortable(frame)]) + "\n"


def script() -> str:
    """What ``SCRIPT`` holds: itables' own, out of its element, and how columns of numbers are ordered."""
    bundle = Path(itables.__file__).parent / "html" / "dt_bundle.js"
    text = generate_init_offline_itables_html(bundle).strip()
    text = text.split("<script>", 1)[1].split("</script>", 1)[0]
    # The promise of DataTables has itables' version in its name.
    return text + _ORDER.format(name=re.search(r"window\.(\w+) = injectModule\(", text)[1])


def _head(title: str, profile: str, table: Table) -> list[str]:
    """``title``: the first line of a table in Markdown."""
    return [
        _WIDE,
        f"# {title.removeprefix('### ')}",
        _RAW.format(f'<script src="../../_static/{SCRIPT}"></script>'),
        f"Profile `{profile}`. [The notebook](../../notebooks/{table.notebook}.ipynb).",
    ]


def _claims(path: Path) -> pd.DataFrame:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    columns = {"statement": "claim", "measured": "here", "in_print": "in print", "verdict": "verdict", "reason": "why"}
    return pd.DataFrame([{shown: claim[name] for name, shown in columns.items()} for claim in found])


def _with_thousands(frame: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers as people read them."""
    return frame.assign(**{name: frame[name].map("{:,}".format) for name in frame.select_dtypes("integer")})


def _sortable(frame: pd.DataFrame, wrap: bool = False) -> str:
    """Every cell as text: a mean and its spread are one cell. ``wrap``: cells of words take several lines, and the table the
    width of the page; without it a cell is one line, and a wide table is moved sideways."""
    cells = frame.fillna("").astype(str)
    numbers = [place for place in range(cells.shape[1]) if _of_numbers(list(cells.iloc[:, place]))]
    look = {} if wrap else {"className": "dt-type-numeric"}
    html = itables.to_html_datatable(
        cells, connected=False, showIndex=False, paging=False, columnDefs=[{"type": "measured", "targets": numbers} | look],
        classes="display compact" if wrap else "display nowrap compact", scrollX=not wrap, display_logo_when_loading=False,
    )  # fmt: skip
    return _RAW.format(html)


def _of_numbers(cells: Sequence[str]) -> bool:
    words = [cell for cell in cells if not _NUMBER.fullmatch(cell)]
    return len(words) < len(cells) and all(cell in _WITHOUT for cell in words)


def _figure(path: Path, profile: str) -> str:
    """A figure with what its file says of it, or else what its name says."""
    what = path.stem.split("_", 2)[-1].replace("_", " ")
    said, address = described(path), f"../../figures/{profile}/{path.name}"
    return figure(address, said or f"{what}, {path.stem.rsplit('_', 1)[0]}", said or what, vector=has_vector(path))
