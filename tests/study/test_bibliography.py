"""The bibliography: every work has a link, the site shows it, and what notebooks cite is in it."""

import re
import shutil

import pytest
import yaml
from pybtex.database import Entry, parse_file

from srdistill.book import build
from srdistill.book.source import PAGES
from srdistill.study.pairs import notebook_names, read_source
from srdistill.study.paths import ROOT

ENTRIES = parse_file(PAGES / "references.bib").entries
REPRODUCED = ("dietz2025", "labelfree2025", "coreset2024")
# "Xie et al., 2023", "Sun et al., CVPR 2024", "Qin et al., *A label is ...*, 2024", or a name alone.
CITED = re.compile(r"([A-Z][a-z]+) et al\.(?:,? (?:\*[^*]+\*, )?(?:[A-Z]+ )?(20\d\d))?")


def link(entry: Entry) -> str:
    fields = entry.fields
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return fields.get("url", "")


@pytest.mark.parametrize("key", list(ENTRIES))
def test_every_work_has_authors_and_a_link(key):
    entry = ENTRIES[key]
    assert all(author.first_names and author.last_names for author in entry.persons["author"])
    assert re.fullmatch(r"https://(doi\.org/10\.\d{4,5}/\S+|arxiv\.org/abs/\d{4}\.\d{4,5}|(?!doi|arxiv)\S+)", link(entry))
    assert ("eprint" in entry.fields) == (entry.fields.get("archivePrefix") == "arXiv")


def test_no_two_works_share_a_link():
    found = [link(entry) for entry in ENTRIES.values()]
    assert len(set(found)) == len(found)


def citations() -> list[tuple[str, str, str]]:
    """Notebook, first author, year or nothing."""
    found = set()
    for name in notebook_names():
        for cell in read_source(name).cells:
            if cell.cell_type == "markdown":
                text = " ".join(cell.source.split())
                found |= {(name, author, year) for author, year in CITED.findall(text)}
    return sorted(found)


@pytest.mark.parametrize("name, author, year", citations())
def test_what_a_notebook_cites_is_in_the_bibliography(name, author, year):
    firsts = {(entry.persons["author"][0].last_names[-1], entry.fields.get("year")) for entry in ENTRIES.values()}
    assert (author, year) in firsts if year else author in {last for last, _ in firsts}


def test_years_of_citations_are_read():
    years = {(author, year) for _, author, year in citations() if year}
    assert {("Xie", "2023"), ("Qin", "2024"), ("Dey", "2026"), ("Zhao", "2021")} <= years


def test_what_is_to_be_cited_are_the_papers_that_are_reproduced():
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    for key, reference in zip(REPRODUCED, references, strict=True):
        entry = ENTRIES[key]
        authors = [(" ".join(one.first_names + one.middle_names), one.last_names[-1]) for one in entry.persons["author"]]
        assert [(one["given-names"], one["family-names"]) for one in reference["authors"]] == authors
        assert (reference["title"], str(reference["year"])) == (entry.fields["title"], entry.fields["year"])
        assert reference["url"] == f"https://arxiv.org/abs/{entry.fields['eprint']}"
        assert reference.get("doi") == entry.fields.get("doi")


def test_the_site_prints_every_link(tmp_path, monkeypatch):
    def write_small(folder, repository):
        (folder / "_static").mkdir(parents=True)
        shutil.copyfile(PAGES / "bibliography.md", folder / "index.md")
        shutil.copyfile(PAGES / "references.bib", folder / "references.bib")

    monkeypatch.setattr(build, "write_source", write_small)
    text = build.build(tmp_path / "build", quiet=True).read_text(encoding="utf-8")
    assert text.count('<div class="citation"') == len(ENTRIES)
    assert [key for key, entry in ENTRIES.items() if f'href="{link(entry)}"' not in text] == []
