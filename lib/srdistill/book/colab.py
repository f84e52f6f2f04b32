"""A way into Colab for the notebooks that need nothing but a browser: a link, and what brings the repository there."""

import re

import nbformat
from nbformat import NotebookNode

# The protocol, and what to use instead: both run on embedded photographs, without a download.
ON_COLAB = ("00_protocol", "12_beyond")
# The printed numbers are in no wheel: an installed library looks for them in the folder that it is used in. An absolute path,
# so that the cell can be run again, as after a restart.
_CHECKOUT = "/content/study"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def slug(repository: str) -> str:
    """``owner/name`` of a repository's address on GitHub. Raises ValueError for any other address: Colab opens no other."""
    found = _GITHUB.fullmatch(repository)
    if not found:
        raise ValueError(f"{repository!r} is no repository that Colab can open; give one like https://github.com/owner/name")
    return found[1]


def with_badge(notebook: NotebookNode, name: str, repository: str) -> NotebookNode:
    """The notebook ``name`` with a cell below its title that opens it in Colab, if it is one of ``ON_COLAB`` and its
    ``repository`` is known; as it is otherwise. Raises ValueError as ``slug`` does."""
    if not repository or name not in ON_COLAB:
        return notebook
    place = slug(repository)
    text = (
        f"[**Open in Colab**](https://colab.research.google.com/github/{place}/blob/main/notebooks/{name}.ipynb), and let this "
        "be the first cell there, to be run again if Colab asks for a restart:\n\n"
        f"```\n!git clone --depth 1 https://github.com/{place} {_CHECKOUT}\n%cd {_CHECKOUT}\n%pip install .\n```"
    )
    cell = nbformat.v4.new_markdown_cell(text, id="colab")
    return nbformat.from_dict(notebook | {"cells": [*notebook.cells[:1], cell, *notebook.cells[1:]]})
