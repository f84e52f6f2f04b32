"""What every notebook has for its reader: the finding in three lines, exercises with hints, checks of what is rebuilt."""

import ast
import re

import pytest

from srdistill.study.pairs import notebook_names, read_source
from srdistill.study.paths import ROOT

NAMES = notebook_names()
every_notebook = pytest.mark.parametrize("name", NAMES)
# Lines of a source have at most 128 characters, of which the comment takes two.
WIDEST = 126
# Files of other repositories, whose names stand in backticks as well.
ELSEWHERE = {"utils.py"}


def markdown(name: str) -> list[str]:
    return [cell.source for cell in read_source(name).cells if cell.cell_type == "markdown"]


def from_scratch(name: str) -> dict[str, list[str]]:
    """Code cells by the heading "From scratch" that they follow, up to the next heading."""
    found, heading = {}, ""
    for cell in read_source(name).cells:
        if cell.cell_type == "markdown":
            for line in re.findall(r"^#+ .*$", cell.source, re.MULTILINE):
                heading = line if "From scratch" in line else ""
                if heading:
                    found[heading] = []
        elif heading:
            found[heading].append(cell.source)
    return found


def asserts(code: str) -> bool:
    """Whether there is an assert, or a call of a function whose name begins so."""
    for node in ast.walk(ast.parse(code)):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        if isinstance(node, ast.Assert) or name.startswith("assert_"):
            return True
    return False


@every_notebook
def test_it_begins_with_the_finding_in_three_lines(name):
    title, finding = markdown(name)[0].split("\n\n")[:2]
    assert title.startswith("# ") and finding.startswith("**In three lines.** ")
    lines = finding.splitlines()
    assert len(lines) <= 3 and max(map(len, lines)) <= WIDEST


@every_notebook
def test_it_has_two_exercises_with_hints(name):
    (exercises,) = [text for text in markdown(name) if text.startswith("## Exercises\n")]
    each = re.split(r"^\d\. ", exercises, flags=re.MULTILINE)[1:]
    assert len(each) >= 2
    assert [text for text in each if "*Hint:*" not in text] == []


# Notebooks 00, 05 and 07 have nothing of their own to rebuild.
@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] not in ("00", "05", "07")])
def test_what_is_rebuilt_from_scratch_is_checked(name):
    sections = from_scratch(name)
    assert sections
    assert [heading for heading, cells in sections.items() if not any(map(asserts, cells))] == []


@pytest.mark.parametrize(
    "code, found",
    [
        ("assert x == 1", True),
        ("torch.testing.assert_close(x, y)", True),
        ("assert_equal(x, y)", True),
        ("asserted = close(x, y)  # assert", False),
    ],
)
def test_a_check_is_told_from_a_word(code, found):
    assert asserts(code) == found


@every_notebook
def test_files_that_it_names_exist(name):
    named = {word for text in markdown(name) for word in re.findall(r"`([\w./-]+)`", text)}
    files = {word for word in named if "/" in word or word.endswith((".py", ".md"))}
    assert [word for word in sorted(files - ELSEWHERE) if not (ROOT / word).is_file()] == []
