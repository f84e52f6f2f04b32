"""A way into Colab, where the repository's address is known."""

import subprocess
import sys

import nbformat
import pytest

from srdistill.book.colab import ON_COLAB, slug, with_badge
from srdistill.study.pairs import notebook_names
from srdistill.study.paths import NOTEBOOKS

ADDRESS = "https://github.com/someone/some-study"


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}.git"])
def test_owner_and_name_of_an_address(address):
    assert slug(address) == "someone/some-study"


@pytest.mark.parametrize(
    "address", ["someone/some-study", "https://example.org/a/b", "https://github.com/a", f"{ADDRESS}/tree/main"]
)
def test_colab_opens_no_other_address(address):
    with pytest.raises(ValueError, match="https://github.com/owner/name"):
        slug(address)


@pytest.mark.parametrize("name", ON_COLAB)
def test_notebooks_open_in_colab_and_bring_the_repository_there(name):
    assert name in notebook_names()
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    made = with_badge(notebook, name, ADDRESS)
    nbformat.validate(made)
    assert made.cells[1].source.startswith(
        f"[**Open in Colab**](https://colab.research.google.com/github/someone/some-study/blob/main/notebooks/{name}.ipynb)"
    )
    assert "!git clone --depth 1 https://github.com/someone/some-study /content/study\n" in made.cells[1].source
    assert [made.cells[0], *made.cells[2:]] == notebook.cells


def test_others_and_unknown_addresses_leave_a_notebook_as_it_is():
    notebook = nbformat.read(NOTEBOOKS / "00_protocol.ipynb", as_version=4)
    assert with_badge(notebook, "00_protocol", "") is notebook
    assert with_badge(notebook, "01_random_init", ADDRESS) is notebook


def test_the_command_names_a_wrong_address():
    made = subprocess.run([sys.executable, "-m", "srdistill.book", "--repository", "ftp://x"], capture_output=True, text=True)
    assert made.returncode == 2 and "'ftp://x' is no repository that Colab can open" in made.stderr
