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


def with_outputs(name: str, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The source with the outputs of a run; what papermill added (parameters, metadata, ids) is left out."""
    notebook = read_source(name)
    ran = [cell for cell in executed.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for cell, done in zip(notebook.cells, ran, strict=True):
        if cell.cell_type == "code":
            cell.outputs = done.outputs
            cell.execution_count = done.execution_count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count
    return notebook


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
