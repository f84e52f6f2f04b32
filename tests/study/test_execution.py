"""The walk through the graph in one process: order, failures and what they take along, further tries, a full disk."""

import math
from types import SimpleNamespace

import pytest

from srdistill.files import DiskError
from srdistill.study.engine import execution as module
from srdistill.study.engine.execution import Execution, execute
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import Step, Task

# In one object: a plain list that a method names would count in its key.
now = SimpleNamespace()


@pytest.fixture(autouse=True)
def nothing_done_yet():
    now.done, now.failing = [], {}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def make(task, work):
    for need in work.opened(task.settings["needs"]):
        assert need in now.done
    if task.label in now.failing:
        raise now.failing[task.label]
    now.done.append(task.label)
    return {"name": task.label}, None


def read(entry, task, work):
    return entry.value["name"]


STEP = Step("things", make, read)


def thing(name: str, *needs: Task) -> Task:
    return Task(STEP, None, {"name": name, "needs": list(needs)}, label=name)


def test_needs_come_first_and_each_task_is_done_once(store):
    a, b = thing("a"), thing("b")
    c = thing("c", a, b)
    found = execute([thing("d", c, thing("a")), c], store)
    assert now.done == ["a", "b", "c", "d"]
    assert found.fresh([a, b, c]) == 3
    assert not any(found.failure(task) for task in (a, b, c))


def test_what_is_stored_is_not_done_and_not_fresh_and_neither_are_its_needs(store):
    a = thing("a")
    b = thing("b", a)
    execute([b], store)
    store.path("things", a.key).unlink()
    now.done.clear()
    again = execute([b, thing("c")], store)
    assert now.done == ["c"] and again.fresh([a, b]) == 0 and again.fresh([b, thing("c")]) == 1


def test_a_failure_takes_its_dependants_along_and_names_itself(store):
    now.failing["a"] = ArithmeticError("diverged")
    a = thing("a")
    b, other = thing("b", a), thing("other")
    c = thing("c", b)
    found = execute([c, other], store)
    assert now.done == ["other"]
    assert found.failure(a) == "a: ArithmeticError: diverged"
    assert found.failure(b) == found.failure(c) == "not run: it needs a, which failed"
    assert found.failure(other) == "" and found.fresh([a, b, c, other]) == 1


def test_a_task_without_a_label_is_named_by_kind_and_key(store):
    now.failing[""] = ValueError("no")
    task = Task(STEP, None, {"needs": []})
    assert execute([task], store).failure(task) == f"things {task.key[:8]}: ValueError: no"


def test_what_failed_gets_another_try_with_all_that_needs_it(store):
    now.failing["a"] = ArithmeticError("diverged")
    b = thing("b", thing("a"))
    found = execute([b], store)
    now.failing.clear()
    found.wait([b])
    assert now.done == ["a", "b"] and found.failure(b) == "" and found.fresh([b]) == 1


def test_what_failed_before_does_not_fail_others_again(store):
    now.failing["a"] = ArithmeticError("diverged")
    found = execute([thing("a")], store)
    now.failing.clear()
    found.wait([thing("b", thing("a"))])
    assert now.done == ["a", "b"]


def test_a_full_disk_ends_everything_and_keeps_what_is_done(store):
    now.failing["b"] = DiskError(28, "no room to write")
    tasks = [thing("a"), thing("b"), thing("c")]
    found = Execution(store)
    with pytest.raises(DiskError, match="no room"):
        found.wait(tasks)
    assert now.done == ["a"] and store.has("things", tasks[0].key)
    now.failing.clear()
    found.wait(tasks)
    assert now.done == ["a", "b", "c"] and found.fresh(tasks) == 3


def test_an_interruption_is_no_failure(store):
    now.failing["b"] = KeyboardInterrupt()
    found = Execution(store)
    with pytest.raises(KeyboardInterrupt):
        found.wait([thing("a"), thing("b")])
    now.failing.clear()
    found.wait([thing("b")])
    assert now.done == ["a", "b"] and found.failure(thing("b")) == ""


def test_starting_does_nothing_in_a_process_of_its_own(store):
    found = Execution(store)
    found.start([thing("a")])
    assert now.done == []
    found.wait([thing("a")])
    assert now.done == ["a"]


def test_what_the_store_loses_is_made_again_when_it_is_forgotten(store):
    found = execute([thing("a")], store)
    store.path("things", thing("a").key).unlink()
    found.forget(thing("a"))
    found.wait([thing("a")])
    assert now.done == ["a", "a"]


def test_a_damaged_entry_is_made_again(store):
    execute([thing("a")], store)
    path = store.path("things", thing("a").key)
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.warns(UserWarning, match="damaged"):
        execute([thing("a")], store)
    assert now.done == ["a", "a"] and store.get("things", thing("a").key).value == {"name": "a"}


def test_an_entry_is_read_once_however_many_tasks_need_it(store, monkeypatch):
    shared = thing("shared")
    needing = [thing(str(index), shared) for index in range(20)]
    execute([shared], store)
    looked = []
    true = store.get
    monkeypatch.setattr(store, "get", lambda kind, key: looked.append(key) or true(kind, key))
    execute(needing, store)
    assert looked.count(shared.key) == 1


def test_the_bar_counts_what_there_is_to_do(store, monkeypatch):
    bars = []

    class Bar(module.tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            bars.append(self)

    monkeypatch.setattr(module, "tqdm", Bar)
    now.failing["b"] = ValueError("no")
    execute([thing("a")], store)
    execute([thing("a"), thing("c", thing("b")), thing("d")], store, label="a table")
    assert [(one.total, one.n) for one in bars] == [(1, 1), (3, 3)] and bars[1].desc == "a table"
    execute([thing("a")], store)
    assert len(bars) == 2 and math.isfinite(bars[1].format_dict["elapsed"])
