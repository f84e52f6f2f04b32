"""A notebook that fails is kept beside, moves nothing, and does not stop the next one."""

import json

import pytest
from tiny_repository import PARAMETERS, PLAIN, SAVE, STUDY

from srdistill.study.run import main

SMOKE = ["--profile", "smoke"]
pytestmark = pytest.mark.usefixtures("shared")


def test_a_run_puts_tables_and_notebook_into_place(repository, capsys):
    repository.write_plain("01_one")
    assert main([*SMOKE, "--seeds", "2"]) == 0
    assert repository.made() == {"01_one.csv", "runs/01_one.ipynb"}
    assert (repository.tables / "smoke" / "01_one.csv").read_text() == "profile,seeds\nsmoke,2\n"
    out = capsys.readouterr().out
    assert "1 of 1 notebooks" in out
    assert "papers_tables/smoke/01_one.csv" in out


def test_smoke_runs_never_land_in_the_laptops_tables(repository):
    repository.write_plain("01_one")
    assert main(["01", *SMOKE]) == 0
    assert {path.name for path in repository.tables.iterdir()} == {"published", "smoke"}
    assert {path.name for path in repository.notebooks.iterdir()} == {"01_one.py"}


def test_a_plain_desktop_run_renews_the_paired_notebook_and_the_board(repository):
    repository.write_plain("01_one")
    assert main(["01", "--profile", "desktop"]) == 0
    assert repository.made("desktop") == {"01_one.csv", "runs/01_one.ipynb", "CLAIMS.md", "TABLES.md", "UNDECIDED.md"}
    executed = (repository.tables / "desktop" / "runs" / "01_one.ipynb").read_text()
    assert json.loads(executed)["metadata"]["papermill"]["parameters"] and str(repository.tables.parent) not in executed
    paired = json.loads((repository.notebooks / "01_one.ipynb").read_text())
    tags = [cell["metadata"].get("tags", []) for cell in paired["cells"]]
    assert tags == [["parameters"], []]
    assert [cell["execution_count"] is not None for cell in paired["cells"]] == [True, True]
    assert (repository.tables / "README.md").exists()


def test_a_notebook_whose_source_changes_while_it_runs(repository, capsys):
    source = repository.notebooks / "01_one.py"
    edit = f"with open({str(source)!r}, 'a') as file:\n    file.write('\\n# %%\\nlate = 1\\n')"
    repository.write("01_one", PLAIN.format(table="01_one"), edit)
    (repository.notebooks / "01_one.ipynb").write_text("that of an earlier run")
    assert main(["01", "--profile", "desktop"]) == 1
    out = capsys.readouterr().out
    assert "FAILED 01_one: 01_one.py changed while it ran: its tables are in place" in out
    assert "0 of 1 notebooks" in out and "papers_tables/desktop/01_one.csv" in out
    assert {"01_one.csv", "runs/01_one.ipynb", "TABLES.md"} <= repository.made("desktop")
    assert (repository.notebooks / "01_one.ipynb").read_text() == "that of an earlier run"


@pytest.mark.parametrize("arguments", [[], *(["--profile", "desktop", *own] for own in (["--seeds", "2"], ["-p", "speed=3"]))])
def test_any_other_run_leaves_the_paired_notebook_alone(repository, arguments):
    repository.write("01_one", PLAIN.format(table="01_one"), parameters=PARAMETERS + "speed = 1\n")
    (repository.notebooks / "01_one.ipynb").write_text("the plain desktop run")
    assert main(["01", *arguments]) == 0
    assert (repository.notebooks / "01_one.ipynb").read_text() == "the plain desktop run"


@pytest.fixture
def first_fails(repository):
    repository.write("01_one", PLAIN.format(table="01_one"), 'raise ArithmeticError("not today")')
    repository.write_plain("02_two")
    return repository


def test_a_failing_cell(first_fails, capsys):
    assert main(SMOKE) == 1
    assert first_fails.made() == {"runs/01_one.failed.ipynb", "02_two.csv", "runs/02_two.ipynb"}
    out = capsys.readouterr().out
    assert "FAILED 01_one: ArithmeticError: not today" in out
    assert "papers_tables/smoke/runs/01_one.failed.ipynb" in out
    assert "1 of 2 notebooks" in out


def test_the_failed_notebook_holds_the_traceback(first_fails):
    main(["01", *SMOKE])
    cells = first_fails.executed("01_one.failed").cells
    errors = [output for cell in cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert [(error.ename, error.evalue) for error in errors] == [("ArithmeticError", "not today")]
    assert any("not today" in line for line in errors[0].traceback)


def test_what_an_earlier_run_made_outlives_a_failure_and_a_success_clears_it(first_fails):
    first_fails.write_plain("01_one")
    assert main(["01", *SMOKE]) == 0
    before = (first_fails.tables / "smoke" / "01_one.csv").read_bytes()
    first_fails.write("01_one", PLAIN.format(table="01_one"), 'raise ArithmeticError("not today")')
    assert main(["01", *SMOKE, "--seeds", "5"]) == 1
    assert (first_fails.tables / "smoke" / "01_one.csv").read_bytes() == before
    first_fails.write_plain("01_one")
    assert main(["01", *SMOKE]) == 0
    assert first_fails.made() == {"01_one.csv", "runs/01_one.ipynb"}


def test_a_killed_kernel(repository, capsys):
    repository.write("01_one", PLAIN.format(table="01_one"), "os.kill(os.getpid(), 9)")
    repository.write_plain("02_two")
    assert main(SMOKE) == 1
    out = capsys.readouterr().out
    assert "FAILED 01_one: the kernel died" in out
    assert "finished tasks are kept" in out
    assert repository.made() - {"runs/01_one.failed.ipynb"} == {"02_two.csv", "runs/02_two.ipynb"}


def test_a_kernel_that_exits_by_itself(repository, capsys):
    repository.write("01_one", PLAIN.format(table="01_one"), "os._exit(0)")
    assert main(SMOKE) == 1
    assert "kernel died" in capsys.readouterr().out
    assert repository.made() <= {"runs/01_one.failed.ipynb"}


REFUSING = STUDY.replace(
    "study.run(rows[:1]",
    """
def refusing(real, *, ipc, size, generator):
    raise RuntimeError("no such luck")

rows = [study.row("Refusing", refusing, ipc=1), *rows]
study.run(rows[:1]""",
)


def test_failing_rows_are_named_and_no_table_is_moved(repository, capsys):
    repository.write("01_one", REFUSING, SAVE)
    assert main(SMOKE) == 1
    out = capsys.readouterr().out
    assert "FAILED 01_one: CellsFailed: 1 part of dietz_t1 failed" in out
    assert "- Refusing, seed 0: RuntimeError: no such luck" in out
    assert repository.made() == {"runs/01_one.failed.ipynb"}


def test_ones_own_pictures_have_a_folder_of_their_own(repository, tmp_path):
    (tmp_path / "holidays").mkdir()
    repository.write_plain("01_one")
    assert main(["--data", str(tmp_path / "holidays"), *SMOKE]) == 0
    assert {path.name for path in repository.tables.iterdir()} == {"published", "own-holidays"}


def test_tables_of_an_earlier_run_are_not_shown_as_if_of_this_one(first_fails, capsys):
    first_fails.write_plain("01_one")
    assert main(SMOKE) == 0
    capsys.readouterr()
    first_fails.write("01_one", 'raise ArithmeticError("not today")')
    assert main(SMOKE) == 1
    out = capsys.readouterr().out
    assert "papers_tables/smoke/02_two.csv" in out
    assert "papers_tables/smoke/01_one.csv" not in out


def test_tables_that_cannot_be_written_do_not_hide_what_went_wrong(first_fails, capsys):
    (first_fails.tables / "smoke").write_text("where a folder should be")
    assert main(SMOKE) == 1
    out = capsys.readouterr().out
    assert "FAILED 01_one: ArithmeticError: not today" in out
    assert "see build/run/smoke/01_one.running.ipynb" in out
    assert "FAILED 02_two: its results could not be put into place" in out


def test_a_run_says_what_it_reproduces(repository, capsys):
    repository.write_plain("01_one")
    folder = repository.tables / "smoke"
    folder.mkdir()
    (folder / "01_one.csv").write_text("profile,seeds\nsmoke,5\n")
    assert main([*SMOKE, "--seeds", "2"]) == 0
    out = capsys.readouterr().out
    assert "Of 1 committed numbers this run reproduces 0 exactly" in out
    assert "01_one: smoke, seeds: 2 instead of 5" in out
    assert main([*SMOKE, "--seeds", "2"]) == 0
    assert "Of 1 committed numbers this run reproduces 1 exactly" in capsys.readouterr().out


def test_notebooks_run_side_by_side(repository):
    meet = """
import time
from pathlib import Path
folder = Path(os.environ["SRDISTILL_STORE"])
(folder / "{own}").touch()
end = time.monotonic() + 60
while not (folder / "{other}").exists():
    assert time.monotonic() < end, "the other one never came"
    time.sleep(0.05)
"""
    repository.write("01_one", PLAIN.format(table="01_one"), meet.format(own="one", other="two"))
    repository.write("02_two", PLAIN.format(table="02_two"), meet.format(own="two", other="one"))
    assert main(SMOKE) == 0


def test_without_its_data_a_run_does_not_begin(repository, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    monkeypatch.setattr("srdistill.study.plan._answers", lambda address: False)
    repository.write("02_downscaled_init", 'raise AssertionError("it ran")')
    assert main(["--profile", "paper"]) == 2
    said = capsys.readouterr()
    assert "div2k: MISSING (https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip, 3.5 GB" in said.err
    assert repository.made("paper") == set()


def test_a_named_scheduler_that_is_not_there(repository, monkeypatch, capsys):
    monkeypatch.setenv("SRDISTILL_SCHEDULER", "tcp://127.0.0.1:9")
    monkeypatch.setattr("srdistill.study.engine.cluster._PATIENCE", "1s")
    repository.write_plain("01_one")
    assert main(SMOKE) == 2
    assert "no scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
