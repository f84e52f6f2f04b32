"""A notebook as a page: every figure in it with a caption and an alternative text."""

from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from srdistill.book.captions import as_markdown, last_sentence

# What a figure is called in words where nobody wrote any: matplotlib's own.
_NAMELESS = "<Figure size"
_IMAGES = "image/"
# Source of a cell that holds a further output of the one above: one without any would not be shown.
_FURTHER = "# shown by the cell above"
_SHOWN = ("display_data", "execute_result")


def notebook_page(path: Path) -> NotebookNode:
    """The notebook, with what Sphinx's reader of notebooks has to know of its figures.

    A figure is shown with the plain text of its output as caption. Where that is only matplotlib's word for it, the last
    sentence above it is its alternative text, and it has no caption: the sentence stands just over it.

    Raises OSError: it cannot be read.
    """
    notebook = nbformat.read(path, as_version=4)
    cells, above = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            above = last_sentence(cell.source) or above
        cells += _described(cell, above or f"Figure of {path.stem}") if _has_image(cell) else [cell]
    notebook.cells = cells
    return notebook


def _has_image(cell: NotebookNode) -> bool:
    return any(_image(output) for output in cell.get("outputs", []))


def _image(output: NotebookNode) -> str:
    """The kind of image that an output is, empty if it is none."""
    kinds = output.get("data", {}) if output.output_type in _SHOWN else {}
    return next((kind for kind in kinds if kind.startswith(_IMAGES)), "")


def _described(cell: NotebookNode, above: str) -> Iterator[NotebookNode]:
    """The cell; or, as caption and text are settings of a whole cell, one for each of the things that it shows."""
    for place, outputs in enumerate(_one_shown_each(cell.outputs)):
        part = nbformat.from_dict(cell | {"outputs": outputs})
        if place:
            part.source = _FURTHER
            part["id"] = f"{cell.get('id', 'cell')}-{place}"
            part.metadata["tags"] = [*cell.metadata.get("tags", []), "remove-input"]
        image = next((output for output in outputs if _image(output)), None)
        if image:
            caption = _caption(image)
            alt = image.metadata.get(_image(image), {}).get("alt", "") or caption or above
            settings = {"image": {"alt": alt}} | ({"figure": {"caption": as_markdown(caption)}} if caption else {})
            part.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | settings
        yield part


def _one_shown_each(outputs: list[NotebookNode]) -> list[list[NotebookNode]]:
    """Outputs in their order, in groups with one figure, table or the like at most; printed text stays with what follows."""
    groups: list[list[NotebookNode]] = [[]]
    for index, output in enumerate(outputs):
        groups[-1].append(output)
        if output.output_type in _SHOWN and any(later.output_type in _SHOWN for later in outputs[index + 1 :]):
            groups.append([])
    return groups


def _caption(output: NotebookNode) -> str:
    text = " ".join(output.data.get("text/plain", "").split())
    return "" if text.startswith(_NAMELESS) else text
