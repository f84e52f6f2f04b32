"""The two halves of a notebook: ``.py`` is the source, ``.ipynb`` carries the outputs of the last ``PAIRED`` run."""

from pathlib import Path

import jupytext
import nbformat

from srdistill.files import write_text
from srdistill.study.paths import NOTEBOOKS

# The profile whose runs people read: the evidence.
PAIRED = "desktop"
_METADATA = {
    "jupytext": {"formats": "ipynb,py:percent"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
}


def notebook_names() -> list[str]:
    """All notebooks, in order."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.py"))


def read_source(name: str) -> nbformat.NotebookNode:
    """The notebook that the ``.py`` half describes, without outputs; cell ids count up, so that they never change."""
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    notebook.metadata = nbformat.from_dict(_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:02d}"
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {})
    return notebook


class SourceChanged(ValueError):
    """The source of a notebook is no longer what ran: its outputs are not of these cells."""


def with_outputs(name: str, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The source with the outputs of a run; what papermill added (parameters, metadata, ids) is left out.

    Prose may have changed since the run began. Raises SourceChanged: code has.
    """
    notebook = read_source(name)
    ran = [cell for cell in _code(executed) if "injected-parameters" not in cell.metadata.get("tags", [])]
    if [cell.source for cell in _code(notebook)] != [cell.source for cell in ran]:
        raise SourceChanged(f"{name}.py changed while it ran")
    for cell, done in zip(_code(notebook), ran, strict=True):
        cell.outputs = done.outputs
        cell.execution_count = done.execution_count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return notebook


def _code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def write_notebook(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write it whole."""
    write_text(path, nbformat.writes(notebook) + "\n")


def sync() -> None:
    """Bring the cells of every ``.ipynb`` up to date with its source; outputs of unchanged cells are kept."""
    for name in notebook_names():
        path, notebook = NOTEBOOKS / f"{name}.ipynb", read_source(name)
        old = nbformat.read(path, as_version=4).cells if path.exists() else []
        kept = {cell.source: cell for cell in old if cell.cell_type == "code"}
        for cell in notebook.cells:
            if cell.cell_type == "code" and cell.source in kept:
                cell.outputs = kept[cell.source].outputs
                cell.execution_count = kept[cell.source].execution_count
        write_notebook(notebook, path)


if __name__ == "__main__":
    sync()
