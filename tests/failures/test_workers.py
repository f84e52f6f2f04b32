"""Workers, schedulers and tasks that go wrong: what is finished is kept, what is lost is named, the rest goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tiny_tasks import fails, fills_the_disk, killed, tiny, total, waits

import srdistill
from srdistill.files import DiskError
from srdistill.papers import dietz
from srdistill.sets.random_crops import random_crops
from srdistill.study.engine import cluster
from srdistill.study.engine.cluster import ClusterError, connect, local_cluster
from srdistill.study.engine.execution import Execution, execute
from srdistill.study.engine.store import Store
from srdistill.study.pages.save import save_table
from srdistill.study.pages.tables import long_table
from srdistill.study.rows import ORIGINAL


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    # Workers take the folder that the task names.
    monkeypatch.delenv("SRDISTILL_STORE")
    return Store(tmp_path / "store")


@pytest.fixture
def client(workers):
    found = connect(workers)
    yield found
    found.close()


def values(store: Store, tasks) -> list:
    return [store.get(task.kind, task.key).value["value"] for task in tasks]


def test_a_worker_that_is_killed_loses_nothing(store, client, tmp_path):
    victim = tiny(killed, "victim", marker=str(tmp_path / "kills"), times=1)
    others = [tiny(total, f"other {index}") for index in range(6)]
    last = tiny(total, "last", of=[victim, *others])
    done = execute([last], store, client)
    assert done.failure(last) == ""
    assert values(store, [victim, last]) == [2, 9]


def test_a_task_that_kills_three_times_is_named_and_the_rest_goes_on(store, client, tmp_path):
    killer = tiny(killed, "killer", marker=str(tmp_path / "kills"), times=99)
    others = [tiny(total, f"other {index}") for index in range(6)]
    dependant = tiny(total, "dependant", of=[killer])
    done = execute([*others, dependant], store, client)
    assert done.failure(killer) == "killer: its worker was killed three times while at it, perhaps for lack of memory"
    assert done.failure(dependant) == "not run: it needs killer, which failed"
    assert values(store, others) == [1] * 6
    assert (tmp_path / "kills").read_text() == "xxx"


@pytest.mark.parametrize("where", ["here", "on workers"])
def test_a_task_that_fails_fails_what_needs_it_and_nothing_else(store, client, where):
    bad, good = tiny(fails, "bad"), tiny(total, "good")
    dependant, second = tiny(total, "dependant", of=[bad, good]), tiny(total, "second", of=[good])
    third = tiny(total, "third", of=[dependant])
    done = execute([third, second], store, client if where == "on workers" else None)
    assert done.failure(bad) == "bad: ArithmeticError: not today"
    assert done.failure(dependant) == done.failure(third) == "not run: it needs bad, which failed"
    assert values(store, [second]) == [2]


def test_a_full_disk_stops_everything(store, monkeypatch, workers, tmp_path):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    before = tiny(total, "before")
    full = tiny(fills_the_disk, "full")
    with local_cluster(1) as own:
        client = connect(own.scheduler_address)
        execute([before], store, client)
        with pytest.raises(DiskError, match="no room to write"):
            execute([full, *(tiny(total, f"after {index}", of=[full]) for index in range(3))], store, client)
        client.close()
    assert values(store, [before]) == [1]
    assert store.get(full.kind, full.key) is None


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", "1s")
    with pytest.raises(ClusterError, match="no scheduler answers at tcp://127.0.0.1:9 .*start one .dask scheduler."):
        connect("tcp://127.0.0.1:9")


def test_a_scheduler_without_workers(monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", "1s")
    with local_cluster(0) as empty, pytest.raises(ClusterError, match="has no workers; start some: dask worker"):
        connect(empty.scheduler_address)


def test_a_scheduler_that_goes_in_mid_run(store, monkeypatch, tmp_path):
    monkeypatch.setattr("srdistill.study.engine.execution._LOST_AFTER", 2.0)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    first = tiny(total, "first")
    long = tiny(waits, "long", marker=str(tmp_path / "began"), until=str(tmp_path / "never"))
    with local_cluster(1) as own:
        client = connect(own.scheduler_address)
        execution = Execution(store, client)
        execution.wait([first])
        execution.start([long])
        until(lambda: (tmp_path / "began").exists())
        os.kill(own.process.pid, signal.SIGKILL)
        with pytest.raises(ClusterError, match="the scheduler is gone; finished tasks are kept"):
            execution.wait([long])
        client.close(timeout=1)
    assert values(store, [first]) == [1]


def test_two_runs_at_once_share_their_tasks(store, workers, tmp_path):
    first, second = connect(workers), connect(workers)
    together = [tiny(total, f"part {index}") for index in range(8)]
    runs = [Execution(store, client) for client in (first, second)]
    last = [tiny(total, f"last {index}", of=together) for index in range(2)]
    for run, task in zip(runs, last, strict=True):
        run.start([task])
    for run, task in zip(runs, last, strict=True):
        run.wait([task])
        assert run.failure(task) == ""
    assert values(store, last) == [9, 9]
    first.close()
    second.close()


@pytest.mark.filterwarnings("ignore:stored tiny")
def test_a_damaged_entry_is_made_again(store, client):
    first = tiny(total, "first")
    second = tiny(total, "second", of=[first])
    execute([second], store, client)
    for task in (first, second):
        path = store.path(task.kind, task.key)
        path.write_text(path.read_text().replace('"seconds"', '"secondz"'))
    done = execute([second], store, client)
    assert done.fresh([first, second]) == 2
    assert values(store, [first, second]) == [1, 2]


def until(true, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- a cluster of processes that somebody else has started -----------------------------------------------------------------


@contextmanager
def started_by_hand(tmp_path, *libraries: Path):
    """The address of a scheduler with a worker for each of the libraries."""
    file = tmp_path / "scheduler.json"
    environment = os.environ | cluster.ONE_THREAD
    processes = [start(environment, "dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", file)]
    for library in libraries:
        own = environment | {"PYTHONPATH": str(library)}
        processes.append(start(own, "dask_worker", "--nthreads", "1", "--host", "127.0.0.1", "--scheduler-file", file))
    try:
        # It is there before anything is in it.
        until(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            cluster.end_tree(process.pid)


def start(environment: dict, tool: str, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{tool}", *map(str, arguments), "--no-dashboard"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


HERE = Path(srdistill.__file__).parents[1]


def test_a_worker_of_another_version_is_refused(store, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(HERE / "srdistill", other / "srdistill", ignore=shutil.ignore_patterns("__pycache__"))
    changed = other / "srdistill" / "sets" / "random_crops.py"
    changed.write_text(changed.read_text() + "\nANOTHER = 1\n")
    study = dietz.PAPER.open("dietz_t1", profile="smoke")
    task = study.set_task(study.row("Crops", random_crops, ipc=1), 0)
    with started_by_hand(tmp_path, other) as address:
        client = connect(address)
        done = execute([task], store, client)
        client.close()
    assert "OtherVersion" in done.failure(task)
    assert "check out the same commit everywhere and restart the workers" in done.failure(task)
    assert store.get(task.kind, task.key) is None


def tables(tmp_path, monkeypatch, name: str, address: str = "") -> dict[str, str]:
    """The CSVs of a smoke table, computed from nothing."""
    monkeypatch.setenv("SRDISTILL_STAGING", str(tmp_path / name))
    study = dietz.PAPER.open("dietz_t3", profile="smoke")
    study.store = Store(tmp_path / f"store of {name}")
    client = connect(address) if address else None
    vars(study)["execution"] = Execution(study.store, client)
    monkeypatch.setattr("srdistill.study.pages.save.record_sets", lambda study, rows: None)
    # Not study.rows(), which begins with all students.
    rows = study.table.rows(study)
    results = study.run(rows, ["SRCNN"])
    assert results.failures == []
    assert results.computed == len(rows)
    save_table(study, results, long_table(study, results))
    if client:
        client.close()
    return {path.name: path.read_text() for path in (tmp_path / name).glob("*.csv")}


def test_a_table_is_the_same_with_any_number_of_workers(tmp_path, store, workers, monkeypatch):
    alone = tables(tmp_path, monkeypatch, "none")
    assert set(alone) == {"dietz_t3.csv", "dietz_t3.sizes.csv"}
    assert ORIGINAL in alone["dietz_t3.csv"]
    assert tables(tmp_path, monkeypatch, "two", workers) == alone
    for count in (1, 4):
        with local_cluster(count) as own:
            assert tables(tmp_path, monkeypatch, f"{count} workers", own.scheduler_address) == alone
    with started_by_hand(tmp_path, HERE, HERE) as address:
        assert tables(tmp_path, monkeypatch, "by hand", address) == alone


def test_workers_end_with_the_kernel_that_started_them(tmp_path):
    code = (
        "from srdistill.study.engine.cluster import local_cluster\nimport sys, time\n"
        f"with local_cluster(2) as own:\n    open({str(tmp_path / 'up')!r}, 'w').close()\n    time.sleep(60)\n"
    )
    kernel = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(HERE)})
    until((tmp_path / "up").exists)
    children = psutil.Process(kernel.pid).children(recursive=True)
    assert len(children) >= 3
    kernel.kill()
    kernel.wait()
    _, left = psutil.wait_procs(children, timeout=10)
    assert [process for process in left if process.is_running() and process.status() != "zombie"] == []
