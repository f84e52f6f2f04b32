"""The two halves of every notebook agree, and the stored outputs are fit for a reader and for nbval."""

import ast
import re
import subprocess

import nbformat
import pytest

from srdistill.study import pairs
from srdistill.study.pairs import SourceChanged, notebook_names, read_source, sync, with_outputs, write_notebook
from srdistill.study.paths import NOTEBOOKS, ROOT

NAMES = notebook_names()
every_notebook = pytest.mark.parametrize("name", NAMES)
ESCAPE = re.compile(r"\x1b\[")


def stored(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def outputs(name: str) -> list[nbformat.NotebookNode]:
    return [output for cell in stored(name).cells for output in cell.get("outputs", [])]


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_there_are_notebooks():
    assert NAMES


def test_every_notebook_has_both_halves():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == NAMES
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.py")) == NAMES


@every_notebook
def test_both_halves_have_the_same_cells(name):
    def cells(notebook):
        return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]

    assert cells(stored(name)) == cells(read_source(name)), "run `make sync`"


@every_notebook
def test_it_is_valid_and_its_kernel_is_python3(name):
    notebook = stored(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "papermill" not in notebook.metadata


@every_notebook
def test_one_parameters_cell_of_bare_literals_with_their_meaning(name):
    cells = tagged(read_source(name), "parameters")
    assert len(cells) == 1
    names = []
    for line in cells[0].source.splitlines():
        (statement,) = ast.parse(line).body
        assert isinstance(statement, ast.Assign), line
        assert isinstance(ast.literal_eval(statement.value), bool | int | float | str), line
        assert re.search(r"  # \S", line), f"{line}: papermill shows the comment as the parameter's help"
        names.append(statement.targets[0].id)
    assert names[:3] == ["profile", "seeds", "data"]


@every_notebook
def test_the_defaults_leave_profile_seeds_and_pictures_open(name):
    namespace = {}
    exec(tagged(read_source(name), "parameters")[0].source, namespace)
    assert (namespace["profile"], namespace["seeds"], namespace["data"]) == ("", 0, "")


@every_notebook
def test_nbval_has_outputs_to_compare(name):
    cells = tagged(stored(name), "nbval-check-output")
    assert cells, "nbval passes silently on a notebook without such a cell"
    for cell in cells:
        assert cell.cell_type == "code"
        assert cell.execution_count
        assert cell.outputs, cell.source


@every_notebook
def test_every_code_cell_was_executed_in_order(name):
    counts = [cell.execution_count for cell in stored(name).cells if cell.cell_type == "code"]
    assert all(counts)
    assert counts == sorted(set(counts))


@every_notebook
def test_no_errors_and_no_stderr_are_stored(name):
    found = outputs(name)
    assert not [output for output in found if output.output_type == "error"]
    assert not [output.text for output in found if output.get("name") == "stderr"]


@every_notebook
def test_no_terminal_codes_and_no_paths_of_a_machine_are_stored(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    assert not ESCAPE.search(text.replace("\\u001b", "\x1b"))
    assert not re.search(r"/home/|/root/|/Users/|/tmp/", text)
    assert str(ROOT) not in text


def _git(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


def test_git_ignores_no_file_of_the_library():
    if _git("rev-parse", "--git-dir").returncode:
        pytest.skip("not a git checkout")
    sources = [str(path.relative_to(ROOT)) for path in (ROOT / "lib").rglob("*.py")]
    sources += [str(path.relative_to(ROOT)) for path in NOTEBOOKS.iterdir() if path.is_file()]
    ignored = _git("check-ignore", "--no-index", *sources)
    assert ignored.stdout == ""
    assert ignored.returncode == 1


SOURCE = """\
# %% [markdown]
# # Title

# %% tags=["parameters"]
profile = ""  # which

# %%
1 + 1
"""


@pytest.fixture
def own_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "NOTEBOOKS", tmp_path)
    (tmp_path / "01_one.py").write_text(SOURCE)
    return tmp_path


def executed(name: str) -> nbformat.NotebookNode:
    """What papermill leaves: outputs, counts, and a cell of its own."""
    notebook = read_source(name)
    injected = nbformat.v4.new_code_cell('profile = "smoke"', metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(2, injected)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    result = nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=3)
    notebook.cells[-1].outputs = [result]
    return notebook


def test_outputs_of_a_run_go_to_their_cells(own_notebook):
    notebook = with_outputs("01_one", executed("01_one"))
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code"]
    assert notebook.cells[1].source == 'profile = ""  # which'
    assert notebook.cells[2].outputs[0].data["text/plain"] == "2"


@pytest.mark.parametrize("changed", [SOURCE + "\n# %%\n2 + 2\n", SOURCE.replace("1 + 1", "1 + 2")])
def test_a_run_of_another_version_of_the_notebook_is_refused(own_notebook, changed):
    run = executed("01_one")
    (own_notebook / "01_one.py").write_text(changed)
    with pytest.raises(SourceChanged, match="01_one.py changed while it ran"):
        with_outputs("01_one", run)


def test_prose_may_change_while_a_notebook_runs(own_notebook):
    run = executed("01_one")
    (own_notebook / "01_one.py").write_text("# %% [markdown]\n# A word before.\n\n" + SOURCE.replace("# Title", "# Another"))
    notebook = with_outputs("01_one", run)
    assert [cell.source for cell in notebook.cells[:2]] == ["A word before.", "# Another"]
    assert notebook.cells[3].outputs[0].data["text/plain"] == "2"


def test_sync_keeps_the_outputs_of_unchanged_cells(own_notebook):
    write_notebook(with_outputs("01_one", executed("01_one")), own_notebook / "01_one.ipynb")
    (own_notebook / "01_one.py").write_text(SOURCE.replace("# Title", "# Another title") + "\n# %%\n2 + 2\n")
    sync()
    notebook = nbformat.read(own_notebook / "01_one.ipynb", as_version=4)
    assert notebook.cells[0].source == "# Another title"
    assert notebook.cells[2].outputs[0].data["text/plain"] == "2"
    assert notebook.cells[3].outputs == []


def test_sync_drops_the_outputs_of_a_changed_cell(own_notebook):
    write_notebook(with_outputs("01_one", executed("01_one")), own_notebook / "01_one.ipynb")
    (own_notebook / "01_one.py").write_text(SOURCE.replace("1 + 1", "1 + 2"))
    sync()
    assert nbformat.read(own_notebook / "01_one.ipynb", as_version=4).cells[2].outputs == []


def test_sync_twice_changes_nothing(own_notebook):
    sync()
    first = (own_notebook / "01_one.ipynb").read_bytes()
    sync()
    assert (own_notebook / "01_one.ipynb").read_bytes() == first
