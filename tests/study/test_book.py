"""The site: whole, with every notebook and table, and without a word from another host."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from srdistill.book import build
from srdistill.book.api_pages import packages
from srdistill.book.source import write_source
from srdistill.study.pairs import notebook_names
from srdistill.study.paths import NOTEBOOKS, TABLES
from srdistill.study.verdicts.board import profiles_with_tables

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
# Attributes that a browser follows by itself; links are followed by people.
FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src")}
# A preconnect or canonical link fetches nothing.
LINKS = {"stylesheet", "icon", "preload", "modulepreload", "manifest"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return build.build(tmp_path_factory.mktemp("build"), quiet=True).parent


class Fetches(HTMLParser):
    """Addresses that opening a page asks for, and images without an alternative text."""

    def __init__(self):
        super().__init__()
        self.found, self.mute = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        for name in given:
            if (tag, name) in FETCHED and not (tag == "link" and not LINKS & set((given.get("rel") or "").split())):
                self.found.append(given[name] or "")
        if tag == "img" and not given.get("alt"):
            self.mute.append(given.get("src", "")[:80])


def pages(site: Path) -> list[Path]:
    return [path for path in site.rglob("*.html") if "_static" not in path.parts]


def test_every_notebook_table_and_package_has_a_page(site):
    notebooks = {path.stem for path in (site / "notebooks").glob("*.html")} - {"index"}
    assert notebooks == {name for name in notebook_names() if (NOTEBOOKS / f"{name}.ipynb").exists()}
    for profile in profiles_with_tables():
        tables = {path.stem for path in (site / "tables" / profile).glob("*.html")}
        assert tables >= {path.stem for path in (TABLES / profile).glob("*_t[0-9].csv")}
    assert {path.stem for path in (site / "api").glob("*.html")} >= {name.removeprefix("srdistill.") for name in packages()}


def test_opening_a_page_asks_no_other_host(site):
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        reader = Fetches()
        reader.feed(text)
        assert [one for one in reader.found if re.match(r"(https?:)?//", one)] == [], path
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//|\bimport\b[^;\n]{0,200}from\s*['\"]https?:", text), path
    for path in [*site.rglob("*.css")]:
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_figures_of_tables_and_of_the_front_page_have_alternative_texts(site):
    for path in [site / "index.html", *(site / "tables").rglob("*.html")]:
        reader = Fetches()
        reader.feed(path.read_text(encoding="utf-8"))
        assert reader.mute == [], path


def test_the_front_page_answers_and_shows_the_claims(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "what matters most" in text and "claims.png" in text and not re.search("@[A-Z]+@", text)


def test_there_is_no_site_without_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("srdistill.book.source.profiles_with_tables", lambda: [])
    with pytest.raises(FileNotFoundError, match="run make tables first"):
        write_source(tmp_path / "book")


def shown(page: Path) -> str:
    """What a browser without a network has made of a page."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
         "--virtual-time-budget=20000", "--dump-dom", f"file://{page}"],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_without_a_network_shows_formulas_and_tables_that_sort(site):
    with_formula = next(
        path for path in sorted((site / "notebooks").glob("*.html")) if 'class="math' in path.read_text(encoding="utf-8")
    )
    assert "<mjx-container" in shown(with_formula)
    table = next(iter(sorted((site / "tables" / profiles_with_tables()[0]).glob("*_t1.html"))))
    text = shown(table)
    assert "dt-column-order" in text and "Loading ITables" not in text


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_search_works_without_a_network(site):
    # The browser is not asked to type: the page of results takes the words from its address.
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
         "--virtual-time-budget=20000", "--dump-dom", f"file://{site}/search.html?q=distillation"],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    assert re.search(r"found \d+ pages", done.stdout) and 'href="notebooks/' in done.stdout.split('id="search-results"')[1]
