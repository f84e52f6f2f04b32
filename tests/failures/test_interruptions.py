"""Interrupted, killed, twice at once: nothing is lost, and the tables are those of an uninterrupted run."""

import os
import signal

import pytest
from tiny_repository import PLAIN, SAVE, STUDY, WAIT, Command, Repository

SMOKE = ["--profile", "smoke"]


@pytest.fixture
def study_notebook(command):
    """A notebook with a real study, in a repository whose runner can be interrupted."""
    command.repository.write("01_one", STUDY, WAIT, SAVE)
    return command


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The table of an uninterrupted run."""
    root = tmp_path_factory.mktemp("uninterrupted")
    command = Command(Repository(root / "repository"))
    command.repository.write("01_one", STUDY, WAIT, SAVE)
    done = command.run(*SMOKE, SRDISTILL_STORE=root / "store", TORCH_HOME=root / "torch")
    assert done.returncode == 0, done.stderr
    return table(command.repository)


def table(repository) -> bytes:
    return (repository.tables / "smoke" / "dietz_t1.csv").read_bytes()


def computed(repository) -> str:
    cells = repository.executed("01_one").cells
    return "".join(
        output.text for cell in cells for output in cell.get("outputs", []) if output.get("name") == "stdout"
    )


def goes_on(command, expected: bytes) -> None:
    """The same command again finishes, with one of the two networks from the store."""
    assert command.repository.made() == set()
    assert command.run(*SMOKE).returncode == 0
    assert table(command.repository) == expected
    assert computed(command.repository) == "1 computed\n"


def test_ctrl_c_and_again(study_notebook, uninterrupted):
    with study_notebook.waiting(*SMOKE) as (process, _):
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "interrupted: finished cells are kept, the same command goes on from there" in error
    goes_on(study_notebook, uninterrupted)


def test_killed_and_again(study_notebook, uninterrupted):
    with study_notebook.waiting(*SMOKE) as (process, _):
        process.kill()
        process.wait(30)
    goes_on(study_notebook, uninterrupted)


def test_two_runs_at_once(study_notebook, uninterrupted):
    runs = [study_notebook.start(*SMOKE) for _ in range(2)]
    done = [process.communicate(timeout=120) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], done
    assert table(study_notebook.repository) == uninterrupted
    assert sorted(study_notebook.repository.made()) == sorted(
        [f"dietz_t1{suffix}" for suffix in (".csv", ".sizes.csv", ".md", ".tex", ".claims.jsonl", ".provenance.json")]
        + ["runs/01_one.ipynb"]
    )


@pytest.fixture
def terminated(command):
    """What a run says that got SIGTERM, its exit status, and its kernel."""
    command.repository.write("01_one", PLAIN.format(table="01_one"), WAIT)
    with command.waiting(*SMOKE) as (process, children):
        process.terminate()
        _, error = process.communicate(timeout=30)
        alive = [child for child in children if child.is_running() and child.status() != "zombie"]
        yield process.returncode, error, alive
    assert command.repository.made() == set()


def test_terminated_is_interrupted_and_leaves_no_kernel(terminated):
    status, error, alive = terminated
    assert status == 130
    assert "interrupted: finished cells are kept" in error
    assert not alive


def test_terminated_says_nothing_more(terminated):
    assert "Traceback" not in terminated[1]
