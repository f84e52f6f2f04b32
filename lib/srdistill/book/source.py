"""What Sphinx reads: a folder of pages, written anew for every build from what is committed."""

import shutil
from pathlib import Path

from srdistill.book.api_pages import api_pages
from srdistill.book.captions import described, figure, has_vector
from srdistill.book.colab import with_badge
from srdistill.book.notebook_pages import notebook_page
from srdistill.book.set_files import pack_sets, sets_line, tables_with_sets
from srdistill.book.table_pages import SCRIPT, frame_page, frames, script, table_page
from srdistill.files import write_text
from srdistill.study.pairs import write_notebook
from srdistill.study.paper import tables
from srdistill.study.paths import NOTEBOOKS, ROOT, TABLES
from srdistill.study.verdicts.board import AS_SVG, OVERVIEWS, PARETO, profiles_with_tables

PAGES = Path(__file__).with_name("pages")
# How pages look, and what a click on a figure does; among the site's own files, not among its pages.
STYLE, CLICKS = "site.css", "site.js"
# Pages of the board, as they are called among the tables, and as they are called here.
_BOARD = {"CLAIMS.md": "claims", "UNDECIDED.md": "undecided", "ORDERS.md": "orders", "TWICE.md": "twice"}


def write_source(folder: Path, repository: str = "") -> list[str]:
    """Write all pages into ``folder``; the profiles whose tables are there. ``repository``: its address on GitHub, where known.

    Raises FileNotFoundError where no table has been made; ValueError for an address of another kind.
    """
    profiles = profiles_with_tables()
    if not profiles:
        raise FileNotFoundError(f"no tables in {TABLES}; run make tables first")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "_static").mkdir(parents=True)
    for path in sorted(PAGES.iterdir()):
        place = folder / "_static" if path.name in (STYLE, CLICKS) else folder
        write_text(place / path.name, path.read_text(encoding="utf-8"))
    write_text(folder / "_static" / SCRIPT, script())
    for profile in profiles:
        _profile(folder, profile)
    notebooks = sorted(path for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    for path in notebooks:
        page = with_badge(notebook_page(path), path.stem, repository)
        write_notebook(page, folder / "notebooks" / path.name)
    api = api_pages()
    for name, text in api.items():
        write_text(folder / "api" / f"{name}.md", text)
    _index(folder, "notebooks", "Notebooks", [path.stem for path in notebooks])
    _index(folder, "api", "The library", sorted(api))
    write_text(folder / "index.md", _front(PAGES / "index.md", profiles[0]))
    return profiles


def _profile(folder: Path, profile: str) -> None:
    here = folder / "tables" / profile
    names = []
    for name, (_, table) in tables().items():
        if (TABLES / profile / f"{name}.csv").exists():
            write_text(here / f"{name}.md", table_page(TABLES, profile, table))
            names.append(name)
        for frame in frames(TABLES, profile, table):
            write_text(here / f"{frame}.md", frame_page(TABLES, profile, table, frame))
            names.append(frame)
    for file, name in _BOARD.items():
        path = TABLES / profile / file
        if path.exists():
            write_text(here / f"{name}.md", path.read_text(encoding="utf-8").replace("[Front page](../README.md)", ""))
            names.append(name)
    target = folder / "figures" / profile
    target.mkdir(parents=True)
    for path in (TABLES / profile / "figures").glob("*"):
        if path.suffix in (".png", ".svg"):
            shutil.copyfile(path, target / path.name)
    pack_sets(TABLES, profile, folder)
    _index(folder / "tables", profile, f"Tables, profile {profile}", names)


def _index(folder: Path, name: str, title: str, pages: list[str]) -> None:
    listed = "\n".join(pages)
    write_text(folder / name / "index.md", f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n")


def _front(path: Path, profile: str) -> str:
    """The hand-written front page, with the answer from the README and the board of the best profile at their places."""
    text, here = path.read_text(encoding="utf-8"), TABLES / profile / "figures"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = (TABLES / "README.md").read_text(encoding="utf-8")
    about, board = (shown.split(start)[1].split("\n## `")[0] for start in ("# Tables\n", f"## `{profile}`"))
    # Pictures and further pages have places of their own here.
    elsewhere = ("![", f"[{AS_SVG}]", "[Which", "[What", "Under Holm")
    board = "\n".join(line for line in board.splitlines() if not line.startswith(elsewhere))
    figures = {
        name: _front_figure(path, profile, words) for name, words in OVERVIEWS.items() if (path := here / name).exists()
    }
    places = {
        "ANSWER": _marked(readme, "answer"),
        "PICTURE": figures.pop(PARETO, ""),
        "MORE": _marked(readme, "more"),
        "SETS": "\n\n".join(sets_line(TABLES, profile, table) for table in tables_with_sets(TABLES, profile)),
        "VERDICTS": about.strip(),
        "BOARD": board,
        "FIGURES": "\n\n".join(figures.values()),
        "PROFILE": profile,
    }
    for name, words in places.items():
        text = text.replace(f"@{name}@", words)
    return text


def _marked(readme: str, name: str) -> str:
    """The piece of the README between ``<!-- name -->`` and the next ``<!-- end -->``."""
    return readme.split(f"<!-- {name} -->\n")[1].split("<!-- end -->")[0]


def _front_figure(path: Path, profile: str, words: str) -> str:
    shown = described(path) or words
    return figure(f"figures/{profile}/{path.name}", shown, shown, vector=has_vector(path))
