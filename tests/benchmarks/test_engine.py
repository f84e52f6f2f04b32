"""The engine: two workers against one, what a stored task costs, and how long a plan of the papers' own scale takes."""

import time
from pathlib import Path

import pytest
from workers import one_and_two

from srdistill.papers import dietz
from srdistill.sets.noise import noise
from srdistill.study.engine.execution import Execution, execute
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import graph
from srdistill.study.pairs import notebook_names
from srdistill.study.plan import make_plan


def _students(monkeypatch, place: Path, seeds: int):
    """A table of small students on noise, as the laptop trains them: tasks that are not stored yet."""
    monkeypatch.setenv("SRDISTILL_STORE", str(place))
    study = dietz.PAPER.open("dietz_t1", profile="laptop", seeds=seeds)
    row = study.row("Noise", noise, ipc=1)
    return [study.student(row, network, seed) for seed in study.seeds for network in ("SRCNN", "VDSR", "EDSR")]


def test_two_workers(monkeypatch, tmp_path, note):
    """Twelve students with one worker and with two, each on a cluster that is up: the same weights, bit for bit."""
    seconds = one_and_two(tmp_path, "srdistill.training.sr", lambda place: _students(monkeypatch, place, seeds=4))
    note(f"12 students: 1 worker {seconds[1]:.1f} s, 2 workers {seconds[2]:.1f} s, {seconds[1] / seconds[2]:.2f} x")


def test_a_stored_task(monkeypatch, tmp_path, note):
    """What asking for a finished task costs: the look-up in a new process's store, and the walk through its graph."""
    monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path))
    study = dietz.PAPER.open("dietz_t1", profile="smoke")
    tasks = [cell.task for cell in study.cells(list(study.rows().values()))]
    execute(tasks, Store(tmp_path))
    everything = graph(tasks)
    start = time.perf_counter()
    again = Execution(Store(tmp_path))
    again.wait(tasks)
    cost = (time.perf_counter() - start) / len(tasks)
    assert again.fresh(everything) == 0
    note(f"a stored task: {1000 * cost:.2f} ms")


@pytest.mark.parametrize("profile", ["gpu", "paper"])
def test_a_plan_of_a_large_profile(monkeypatch, tmp_path, note, profile):
    """What would be computed, of all notebooks, on a machine that has neither the data nor a GPU: nothing is loaded for it."""
    for name in ("STORE", "DATA", "WEIGHTS"):
        monkeypatch.setenv(f"SRDISTILL_{name}", str(tmp_path / name))
    start = time.perf_counter()
    plan = make_plan(notebook_names(), profile)
    seconds = time.perf_counter() - start
    assert len(plan.expected) > 500 and not list(tmp_path.rglob("*.safetensors"))
    note(f"a plan of {profile}, {len(plan.expected)} tasks: {seconds:.1f} s")
