"""Interrupted, killed, twice at once: nothing is lost, and the tables are those of an uninterrupted run."""

import os
import signal

import psutil
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
        assert "interrupted: finished tasks are kept, the same command goes on from there" in error
    goes_on(study_notebook, uninterrupted)


def test_killed_and_again(study_notebook, uninterrupted):
    with study_notebook.waiting(*SMOKE) as (process, _):
        process.kill()
        process.wait(30)
    goes_on(study_notebook, uninterrupted)


def test_two_runs_at_once(study_notebook, uninterrupted):
    runs = [study_notebook.start(*SMOKE) for _ in range(2)]
    done = [process.communicate(timeout=400) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], done
    assert table(study_notebook.repository) == uninterrupted
    assert sorted(study_notebook.repository.made()) == sorted(
        [f"dietz_t1{suffix}" for suffix in (".csv", ".sizes.csv", ".md", ".tex", ".claims.jsonl", ".provenance.json")]
        + ["runs/01_one.ipynb"]
    )


def alive(processes) -> list:
    """Those that have not ended within twenty seconds."""
    _, left = psutil.wait_procs(processes, timeout=20)
    return [process for process in left if process.is_running() and process.status() != "zombie"]


@pytest.fixture(params=["SIGTERM", "SIGINT", "SIGKILL"])
def ended(command, request):
    """What a run with four workers says that got a signal, its exit status, and which of its processes are left."""
    command.repository.write("01_one", PLAIN.format(table="01_one"), WAIT)
    with command.waiting(*SMOKE, "--workers", "4") as (process, children):
        assert sum("spawn_main" in " ".join(child.cmdline()) for child in children) >= 4
        if request.param == "SIGINT":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(getattr(signal, request.param))
        _, error = process.communicate(timeout=30)
        yield request.param, process.returncode, error, alive(children)
    assert command.repository.made() == set()


def test_no_process_is_left_behind(ended):
    name, status, error, left = ended
    assert not left
    if name != "SIGKILL":
        assert status == 130
        assert "interrupted: finished tasks are kept" in error
        assert "Traceback" not in error
