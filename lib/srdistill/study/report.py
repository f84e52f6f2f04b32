"""``make report``: a static HTML site of the tables, the board of claims, the figures and the executed notebooks.

It opens from disk; only the formulas in the notebooks need a network, for MathJax.
"""

import shutil
import sys
from pathlib import Path

import nbformat
from jinja2 import Environment
from nbconvert import HTMLExporter

from srdistill.files import write_text
from srdistill.study.pages.tables import read_table, wide_table
from srdistill.study.pairs import PAIRED, notebook_names
from srdistill.study.paper import tables
from srdistill.study.paths import BUILD, NOTEBOOKS, TABLES
from srdistill.study.verdicts.board import profiles_with_tables, read_claims

SITE = BUILD / "site"
_TEMPLATE = Path(__file__).with_name("report.html.j2")


def _table(profile: str, name: str) -> dict:
    """What the template needs of one table."""
    _, table = tables()[name]
    wide = wide_table(read_table(TABLES / profile / f"{name}.csv"), table.shown)
    text = (TABLES / profile / f"{name}.md").read_text().splitlines()
    figures = []
    for path in sorted((TABLES / profile / "figures").glob(f"{name}_*.png")):
        target = SITE / "figures" / profile / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        figures.append(str(target.relative_to(SITE)))
    return {
        "name": name,
        "title": text[0].removeprefix("### "),
        "columns": list(wide.columns),
        "rows": list(zip(wide.index, wide.to_numpy().tolist(), strict=True)),
        "notes": [line[2:] for line in text if line.startswith("- ")],
        "figures": figures,
    }


def _notebooks(profiles: list[str]) -> list[tuple[str, str]]:
    """Convert the executed notebooks: the run that the pairs hold, then the other profiles' runs."""
    sources = [(name, NOTEBOOKS / f"{name}.ipynb") for name in notebook_names()]
    for profile in profiles:
        if profile != PAIRED:
            sources += [(f"{name}-{profile}", TABLES / profile / "runs" / f"{name}.ipynb") for name in notebook_names()]
    exporter = HTMLExporter(template_name="lab")
    links = []
    for name, path in sources:
        if path.exists():
            notebook = nbformat.read(path, as_version=4)
            notebook.metadata["title"] = name
            write_text(SITE / f"{name}.html", exporter.from_notebook_node(notebook)[0])
            links.append((name, f"{name}.html"))
    return links


def write_site() -> Path:
    """Write ``build/site`` anew and return its index."""
    shutil.rmtree(SITE, ignore_errors=True)
    names = profiles_with_tables()
    profiles = [
        {
            "name": profile,
            "claims": read_claims(TABLES, profile),
            "tables": [_table(profile, path.stem) for path in sorted((TABLES / profile).glob("*_t[0-9].csv"))],
        }
        for profile in names
    ]
    template = Environment(autoescape=True).from_string(_TEMPLATE.read_text())
    index = SITE / "index.html"
    write_text(index, template.render(notebooks=_notebooks(names), profiles=profiles))
    return index


if __name__ == "__main__":
    if not profiles_with_tables():
        sys.exit("no tables yet: run `make tables` first")
    print(f"open {write_site()}")
