"""The site: whole, with every notebook and table, and without a word from another host."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from srdistill.book import build
from srdistill.book.api_pages import packages
from srdistill.book.captions import described, figure, last_sentence
from srdistill.book.docstrings import columns_as_list
from srdistill.book.notebook_pages import notebook_page
from srdistill.book.set_files import tables_with_sets
from srdistill.book.source import PAGES, write_source
from srdistill.book.table_pages import SCRIPT, frame_page, frames, table_page
from srdistill.study.pairs import notebook_names, write_notebook
from srdistill.study.paper import tables
from srdistill.study.paths import NOTEBOOKS, TABLES
from srdistill.study.verdicts.board import profiles_with_tables

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
# Attributes that a browser follows by itself; links are followed by people.
FETCHED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src"),
           ("img", "srcset"), ("source", "srcset")}  # fmt: skip
# Most addresses in a script are names of XML dialects, licences, or links in messages for people: none is fetched. One is where
# it is given, as it is written, to something that loads. What puts an address together is seen in a browser, further below.
LOADS = re.compile(
    r"""(?:\bimport\s*\(?|\bfrom|\bfetch\(|\bimportScripts\(|\bnew (?:Shared)?Worker\(|\bnew (?:WebSocket|EventSource)\("""
    r"""|\bsendBeacon\(|\.open\(\s*["'`]\w+["'`]\s*,|\.src(?:set)?\s*=)\s*["'`](?:(?:https?|wss?):)?//"""
)
# A preconnect or canonical link fetches nothing.
LINKS = {"stylesheet", "icon", "preload", "modulepreload", "manifest"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return build.build(tmp_path_factory.mktemp("build"), quiet=True).parent


class Fetches(HTMLParser):
    """Addresses that opening a page asks for, those of its images, of files to download, and images without an alternative
    text."""

    def __init__(self):
        super().__init__()
        self.found, self.images, self.downloads, self.mute = [], [], [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        for name in given:
            if (tag, name) in FETCHED and not (tag == "link" and not LINKS & set((given.get("rel") or "").split())):
                # Of several sizes each has its width behind it.
                some = (given[name] or "").split(",") if name == "srcset" else [given[name] or ""]
                self.found += [one.strip().split(" ")[0] for one in some]
        if tag == "img":
            self.images.append(given.get("src", ""))
        if tag == "img" and not given.get("alt"):
            self.mute.append(given.get("src", "")[:80])
        if tag == "a" and "download" in given.get("class", "").split():
            self.downloads.append(given["href"])


def read(page: Path) -> Fetches:
    reader = Fetches()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def beside(page: Path, address: str) -> Path:
    """The file that an address on a page leads to."""
    return page.parent / unquote(re.split("[?#]", address)[0])


def pages(site: Path) -> list[Path]:
    return [path for path in site.rglob("*.html") if "_static" not in path.parts]


def test_every_notebook_table_and_package_has_a_page(site):
    notebooks = {path.stem for path in (site / "notebooks").glob("*.html")} - {"index"}
    assert notebooks == {name for name in notebook_names() if (NOTEBOOKS / f"{name}.ipynb").exists()}
    for profile in profiles_with_tables():
        tables = {path.stem for path in (site / "tables" / profile).glob("*.html")}
        committed = {path.name.split(".")[0] for path in (TABLES / profile).glob("*_t[0-9]*.csv")}
        assert committed <= tables and any(name.endswith("_t12") for name in committed)
    assert {path.stem for path in (site / "api").glob("*.html")} >= {name.removeprefix("srdistill.") for name in packages()}


def test_opening_a_page_asks_no_other_host(site):
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        assert [one for one in read(path).found if re.match(r"(https?:)?//", one)] == [], path
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//|\bimport\b[^;\n]{0,200}from\s*['\"]https?:", text), path
    for path in [*site.rglob("*.css")]:
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path
    scripts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.js")}
    for path, text in scripts.items():
        assert not LOADS.search(text), path
    # DataTables is in its script as base64.
    packed = re.findall('"([A-Za-z0-9+/=]{9999,})"', scripts[site / "_static" / SCRIPT])
    assert len(packed) == 2 and not any(LOADS.search(base64.b64decode(one).decode()) for one in packed)


@pytest.mark.parametrize(
    "written, fetched",
    [
        ('<img srcset="a.png 1x, https://b.example/c.png 2x">', ["a.png", "https://b.example/c.png"]),
        ('<script src="//b.example/d.js"></script>', ["//b.example/d.js"]),
        ('<link rel="canonical" href="https://b.example"><a href="https://b.example">b</a>', []),
    ],
)
def test_what_a_page_fetches(written, fetched):
    reader = Fetches()
    reader.feed(written)
    assert reader.found == fetched


@pytest.mark.parametrize(
    "code, loads",
    [
        ('import a from "https://b.example/c.js"', True),
        ("await import('//b.example/c.js')", True),
        ('fetch("https://b.example/d.json")', True),
        ('request.open("GET", "http://b.example")', True),
        ("image.src = `https://b.example/e.png`", True),
        ('document.createElementNS("http://www.w3.org/2000/svg", "svg")', False),
        ("/*! License information: https://b.example/license */", False),
        ('warn("see https://b.example/help"); import("./f.js")', False),
    ],
)
def test_what_a_script_loads(code, loads):
    assert bool(LOADS.search(code)) == loads


def test_every_image_has_an_alternative_text(site):
    for path in pages(site):
        assert read(path).mute == [], path


def test_plain_tables_of_facts_have_pages_that_sort_and_lead_to_their_notebook(site):
    for profile in profiles_with_tables():
        folder = site / "tables" / profile
        listed = (folder / "index.html").read_text(encoding="utf-8")
        for path in (TABLES / profile).glob("protocol_*.csv"):
            text = (folder / f"{path.stem}.html").read_text(encoding="utf-8")
            assert '<table id="itables_' in text and "_static/itables.js" in text
            assert 'href="../../notebooks/00_protocol.html"' in text and f'href="{path.stem}.html"' in listed


def test_the_front_page_answers_and_shows_the_claims(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert not re.search("@[A-Z]+@", text)
    # The answer, the picture, the rest of the answer, how to read verdicts, the board, the other pictures.
    parts = ("Distilling adds nothing", "pareto.png", "another tenth", "no power", "what matters most",
             "Use instead: shrunken pictures", "claims.png")  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_figures_lead_to_the_same_as_lines_and_words(site):
    for profile in profiles_with_tables():
        figures = TABLES / profile / "figures"
        for page in (site / "tables" / profile).glob("*_t[0-9]*.html"):
            found = [beside(page, address) for address in read(page).downloads if address.endswith(".svg")]
            assert {path.name for path in found} == {path.name for path in figures.glob(f"{page.stem}_*.svg")}, page
            assert all(path.read_bytes() == (figures / path.name).read_bytes() for path in found)
    front = [Path(address).name for address in read(site / "index.html").downloads if address.endswith(".svg")]
    overviews = ("pareto", "pareto_classes", "pareto_perceptual", "set_size", "against_print", "claims")
    assert front[0] == "pareto.svg" and set(front) == {f"{name}.svg" for name in overviews}


def test_committed_sets_can_be_taken_away(site):
    profile = profiles_with_tables()[0]
    names = tables_with_sets(TABLES, profile)
    assert "beyond_t2" in names
    for name in names:
        folder = TABLES / profile / "sets" / name
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for page in (site / "index.html", site / "tables" / profile / f"{name}.html"):
            (packed,) = (beside(page, address) for address in read(page).downloads if address.endswith(f"/{name}.zip"))
            with zipfile.ZipFile(packed) as archive:
                assert {one: archive.read(one) for one in archive.namelist() if not one.endswith("/")} == files


def test_the_glossary_is_in_order_and_shows_every_word(site):
    blocks = (PAGES / "glossary.md").read_text(encoding="utf-8").rstrip().split("\n\n")[1:]
    words = [block.split("\n: ")[0] for block in blocks]
    assert words == sorted(set(words), key=str.casefold)
    found = re.findall("<dt>(.*?)<", (site / "glossary.html").read_text(encoding="utf-8"))
    assert found == words


def test_there_is_no_site_without_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("srdistill.book.source.profiles_with_tables", lambda: [])
    with pytest.raises(FileNotFoundError, match="run make tables first"):
        write_source(tmp_path / "book")


def png(shade: int, description: str = "") -> bytes:
    about, file = PngInfo(), io.BytesIO()
    if description:
        about.add_text("Description", description)
    Image.new("L", (2, 2), shade).save(file, "png", pnginfo=about)
    return file.getvalue()


def shows(shade: int, words: str, kind: str = "display_data", alt: str = ""):
    data = {"image/png": base64.b64encode(png(shade)).decode(), "text/plain": words}
    return new_output(kind, data, metadata={"image/png": {"alt": alt}} if alt else {})


CAPTION = "Gain of A_1 *and* B, $5: one dot per seed"


@pytest.fixture
def three_figures(tmp_path) -> Path:
    """One figure of old, without a caption; and a cell that prints, shows a table, and then two figures."""
    both = [
        new_output("stream", name="stdout", text="a word\n"),
        new_output("display_data", {"text/html": "<table><tr><td>7</td></tr></table>", "text/plain": "7"}),
        shows(1, CAPTION, alt="Dots"),
        shows(2, "Two", "execute_result"),
    ]
    cells = [
        new_markdown_cell("# Title\n\nFirst words. What **students** make of [it](a.md), at $x$:\n\n```\ncode\n```"),
        new_code_cell("old", outputs=[shows(0, "<Figure size 10x20 with 1 Axes>")]),
        new_code_cell("both", outputs=both, metadata={"tags": ["mine"]}),
        new_code_cell("1 + 1", outputs=[new_output("execute_result", {"text/plain": "2"})]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "01_one.ipynb")
    return tmp_path / "01_one.ipynb"


def test_figures_of_a_notebook_carry_their_texts(three_figures):
    notebook = notebook_page(three_figures)
    nbformat.validate(notebook)
    _, old, table, first, second, plain = notebook.cells
    assert old.metadata.mystnb == {"image": {"alt": "What students make of it, at x:"}}
    assert [output.output_type for output in table.outputs] == ["stream", "display_data"] and table.source == "both"
    assert "mystnb" not in table.metadata and "mystnb" not in plain.metadata
    assert first.metadata.mystnb.image.alt == "Dots" and second.metadata.mystnb.image.alt == "Two"
    assert first.metadata.tags == second.metadata.tags == ["mine", "remove-input"] and table.metadata.tags == ["mine"]
    assert second.metadata.mystnb.figure.caption == "Two"


def test_a_small_book_shows_captions_and_alternative_texts(three_figures, tmp_path, monkeypatch):
    def write_small(folder, repository):
        write_notebook(notebook_page(three_figures), folder / "one.ipynb")
        (folder / "a.png").write_bytes(png(3))
        (folder / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        words = figure("a.png", 'Said: "so", # 1', CAPTION, vector=True)
        (folder / "index.md").write_text(f"# Front\n\n{words}\n\n```{{toctree}}\none\n```\n")
        (folder / "references.bib").touch()
        (folder / "_static").mkdir()

    monkeypatch.setattr(build, "write_source", write_small)
    site = build.build(tmp_path / "build", quiet=True).parent
    front, page = ((site / name).read_text(encoding="utf-8") for name in ("index.html", "one.html"))
    found = [re.findall(r'<img alt="([^"]*)"', text) for text in (front, page)]
    assert found == [["Said: &quot;so&quot;, # 1"], ["What students make of it, at x:", "Dots", "Two"]]
    captions = [re.findall(r'<span class="caption-text">(.*?)</span>', text) for text in (front, page)]
    assert captions == [[CAPTION], [CAPTION, "Two"]]
    assert page.count("a word") == 1 and len(re.findall("<td>7</td>", page)) == 1
    assert "as SVG" in front and [Path(address).name for address in read(site / "index.html").downloads] == ["a.svg"]


@pytest.mark.parametrize(
    "markdown, said",
    [
        ("# Only a title", "Only a title"),
        ("## Plots\nOne dot per seed.", "One dot per seed."),
        ("Two rows:\n\n| a | b |\n| - | - |\n| 1 | 2 |", "Two rows:"),
        ("It falls. So\n\n$$ a = b. $$\n", "So"),
        ("* one. Two (as *always*.) Three\n  is long\n* four of `five`", "four of five"),
        ("Shrunk. (Or squashed.) Beside it, e.g. a crop.", "Beside it, e.g. a crop."),
        ("```\ncode\n```", ""),
    ],
)
def test_the_last_sentence_of_a_cell(markdown, said):
    assert last_sentence(markdown) == said


def test_a_notebook_without_words_has_alternative_texts_too(tmp_path):
    old = new_code_cell("old", outputs=[shows(0, "<Figure size 10x20 with 1 Axes>")])
    nbformat.write(new_notebook(cells=[old]), tmp_path / "02_two.ipynb")
    assert notebook_page(tmp_path / "02_two.ipynb").cells[0].metadata.mystnb.image.alt == "Figure of 02_two"


@pytest.mark.parametrize(
    "written, shown",
    [
        (["The method:", "``one``   first", "``two``, ``three``   then", "and last"],
         ["The method:", "", "* ``one``: first", "* ``two``, ``three``: then", "  and last"]),
        (["", "``one``  first", "", "Beside ``one``."], ["", "* ``one``: first", "", "Beside ``one``."]),
        (["``one`` stands in a sentence.", "So does this."], ["``one`` stands in a sentence.", "So does this."]),
    ],
)  # fmt: skip
def test_columns_of_a_docstring_become_a_list(written, shown):
    columns_as_list(None, "module", "srdistill", None, None, written)
    assert written == shown


@pytest.fixture
def tables_of_one(tmp_path) -> Path:
    """The committed table 1 with two figures, of which one says what it shows, and a plain table of facts."""
    profile = profiles_with_tables()[0]
    folder = tmp_path / profile
    (folder / "figures").mkdir(parents=True)
    for name in ("dietz_t1.md", "dietz_t1.csv"):
        shutil.copyfile(TABLES / profile / name, folder / name)
    (folder / "figures" / "dietz_t1_learning.png").write_bytes(png(0))
    (folder / "figures" / "dietz_t1_psnr.png").write_bytes(png(0, "PSNR of every row\n in dB"))
    (folder / "figures" / "dietz_t1_psnr.svg").touch()
    pd.DataFrame({"reading": ["A, B"], "size %": ["0.50"]}).to_csv(folder / "protocol_sizes.csv", index=False)
    (folder / "protocol_sizes.md").write_text("### What it can mean\n\n| reading |\n")
    (folder / "protocol_stray.csv").touch()
    return folder


def test_a_figure_beside_a_table_says_what_its_file_says(tables_of_one):
    text = table_page(tables_of_one.parent, tables_of_one.name, tables()["dietz_t1"][1])
    assert ':alt: "PSNR of every row in dB"\n\nPSNR of every row in dB\n' in text
    assert ':alt: "learning, dietz_t1"\n\nlearning\n' in text
    assert re.findall(r"\[as SVG\]\((.*?)\)", text) == ["../../figures/desktop/dietz_t1_psnr.svg"]
    assert described(tables_of_one / "figures" / "dietz_t1_learning.png") == ""


def test_sizes_are_written_with_their_thousands(tables_of_one):
    (tables_of_one / "dietz_t1.sizes.csv").write_text("training set,images,bytes as PNG\nall,291,61525995\n")
    text = table_page(tables_of_one.parent, tables_of_one.name, tables()["dietz_t1"][1])
    assert "61,525,995" in text and "61525995" not in text


def test_plain_tables_of_facts_keep_every_digit(tables_of_one):
    root, profile, table = tables_of_one.parent, tables_of_one.name, tables()["protocol"][1]
    assert frames(root, profile, table) == ["protocol_sizes"]
    text = frame_page(root, profile, table, "protocol_sizes")
    _, settings, page = text.split("---\n", 2)
    assert settings == "html_theme.sidebar_secondary.remove: true\n"  # room for a wide table
    assert page.lstrip().startswith("# What it can mean\n") and "notebooks/00_protocol.ipynb" in page
    assert "A, B" in text and "0.50" in text
    assert frames(root, profile, tables()["dietz_t1"][1]) == []


@pytest.mark.parametrize(
    "cells, numbers",
    [
        (["11.6 ± 1.4", "9.2†", "", "not run here"], True),
        (["61,525,995", "7"], True),
        (["+0.49 dB [+0.28, +0.69], 3 seeds", "not run"], True),
        (["", "not run"], False),
        (["140 random patches", "70 random patches"], False),
        (["0.5", "A, B"], False),
    ],
)
def test_which_columns_are_ordered_as_numbers(tables_of_one, cells, numbers):
    pd.DataFrame({"reading": "A", "cells": cells}).to_csv(tables_of_one / "protocol_sizes.csv", index=False)
    text = frame_page(tables_of_one.parent, tables_of_one.name, tables()["protocol"][1], "protocol_sizes")
    (found,) = re.findall(r'"columnDefs": (\[.*?\}\])', text)
    assert [one["targets"] for one in json.loads(found)] == [[1] if numbers else []]


def shown(address: str) -> str:
    """What a browser without a network has made of a page."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
         "--allow-file-access-from-files", "--window-size=1440,900", "--virtual-time-budget=20000", "--dump-dom", address],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return done.stdout


def asked(folder: Path, page: Path, script: str):
    """What ``script``, the body of an asynchronous function, returns on a page: a copy in ``folder``, whose links lead on as
    the page's own do. It may call ``later()``, which waits."""
    text = page.read_text(encoding="utf-8").replace("<head>", f'<head><base href="{page.as_uri()}">', 1)
    ask = """
<script>
addEventListener("load", async () => {
  const later = () => new Promise((done) => setTimeout(done, 300));
  const said = document.createElement("pre");
  said.id = "said";
  said.textContent = JSON.stringify(await (async () => { SCRIPT })().catch(String));
  document.body.append(said);
});
</script>"""
    copy = folder / "asked.html"
    copy.write_text(text + ask.replace("SCRIPT", script), encoding="utf-8")
    return json.loads(html.unescape(re.search('<pre id="said"[^>]*>(.*?)</pre>', shown(copy.as_uri()), re.DOTALL)[1]))


# The cells of a column of the first table after each of two clicks on its title, and what came of other hosts and of figures.
CLICKED = """
  while (!document.querySelector(".dt-scroll-head th .dt-column-order")) await later();
  const title = [...document.querySelectorAll(".dt-scroll-head th")].find((cell) => cell.textContent.trim() === TITLE);
  const column = () => [...document.querySelectorAll(".dt-scroll-body")[0].querySelectorAll("tbody tr")]
    .map((line) => line.cells[title.cellIndex].textContent);
  const orders = [];
  for (const _ of [1, 2]) { title.querySelector(".dt-column-order").click(); await later(); orders.push(column()); }
  const widths = [...document.querySelectorAll("article figure img")].map((image) => image.naturalWidth);
  const hosts = performance.getEntriesByType("resource").map((one) => one.name).filter((name) => /^(http|ws)/.test(name));
  return {orders, widths, hosts};
"""
# Whether formulas are there, and what a page asked of other hosts.
FORMULAS = """
  while (!document.querySelector("mjx-container")) await later();
  return performance.getEntriesByType("resource").map((one) => one.name).filter((name) => /^(http|ws)/.test(name));
"""
# Images that are not shown, of those that stand on any page.
MISSING = """
  const widths = ADDRESSES.map((address) => new Promise((done) => {
    const image = new Image();
    image.onload = image.onerror = () => done([address, image.naturalWidth]);
    image.src = address;
  }));
  return (await Promise.all(widths)).filter(([_, width]) => !(width > 0)).map(([address, _]) => address);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_without_a_network_shows_formulas(site, tmp_path):
    with_formula = next(
        path for path in sorted((site / "notebooks").glob("*.html")) if 'class="math' in path.read_text(encoding="utf-8")
    )
    assert asked(tmp_path, with_formula, FORMULAS) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_without_a_network_shows_tables_that_sort_and_figures(site, tmp_path):
    page = site / "tables" / profiles_with_tables()[0] / "dietz_t1.html"
    found = asked(tmp_path, page, CLICKED.replace("TITLE", '"Set5 gain % here"'))
    up, down = found["orders"]
    numbers = [float(cell.split(" ")[0]) for cell in up if cell]
    missing = len(up) - len(numbers)
    # As text they would stand otherwise, and those without a number first.
    assert missing and numbers != [float(cell.split(" ")[0]) for cell in sorted(filter(None, up))]
    assert numbers == sorted(numbers) and up[len(numbers) :] == down[len(numbers) :] == [""] * missing
    assert [float(cell.split(" ")[0]) for cell in down if cell] == numbers[::-1]
    assert found["widths"] and min(found["widths"]) > 0 and found["hosts"] == []
    text = shown(page.as_uri())
    assert "Loading ITables" not in text
    assert re.search(r'<a href="[^"]*_images/[^"]*\.png" title="at full size"><img', text)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_first_screen_has_the_answer_and_the_picture(site, tmp_path):
    bottom, height = asked(tmp_path, site / "index.html", """
      const image = document.querySelector("article figure img");
      return [image.naturalWidth > 0 ? image.getBoundingClientRect().bottom : Infinity, innerHeight];
    """)  # fmt: skip
    assert bottom <= height


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_every_image_of_every_page_is_shown(site, tmp_path):
    found = {beside(page, address).resolve().as_uri() for page in pages(site) for address in read(page).images
             if not address.startswith("data:")}  # fmt: skip
    assert len(found) > 100
    gallery = tmp_path / "gallery.html"
    gallery.write_text("<head></head><body></body>")
    assert asked(tmp_path, gallery, MISSING.replace("ADDRESSES", json.dumps(sorted(found)))) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_search_works_without_a_network(site):
    # The browser is not asked to type: the page of results takes the words from its address.
    text = shown(f"file://{site}/search.html?q=distillation")
    assert re.search(r"found \d+ pages", text) and 'href="notebooks/' in text.split('id="search-results"')[1]
