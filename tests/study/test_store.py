import json
import multiprocessing
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from srdistill.study.store import Store

SPEC = {"method": "m", "seed": 0}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


class Work:
    """A computation that counts how often it is done."""

    def __init__(self, value=None, tensors=True):
        self.value, self.tensors, self.times = value or {"answer": 42}, tensors, 0

    def __call__(self):
        self.times += 1
        write = (lambda path: save_file({"x": torch.arange(1000)}, path)) if self.tensors else None
        return self.value, write


def _files(store: Store) -> set[str]:
    return {path.suffix for path in (store.root / "things").iterdir()} - {".lock"}


def test_first_fetch_computes_and_second_reads(store):
    work = Work()
    first = store.fetch("things", SPEC, work)
    second = store.fetch("things", SPEC, work)
    assert work.times == 1
    assert (first.fresh, second.fresh) == (True, False)
    assert first.key == second.key
    assert second.value == {"answer": 42}
    assert torch.equal(load_file(second.tensors)["x"], torch.arange(1000))


def test_another_store_on_the_same_folder_finds_the_entry(store):
    store.fetch("things", SPEC, Work())
    assert Store(store.root).get("things", dict(reversed(SPEC.items()))).value == {"answer": 42}


def test_other_specs_and_kinds_are_other_entries(store):
    store.fetch("things", SPEC, Work())
    assert store.get("things", SPEC | {"seed": 1}) is None
    assert store.get("others", SPEC) is None


def test_an_entry_without_tensors(store):
    work = Work(tensors=False)
    assert store.fetch("things", SPEC, work).tensors is None
    assert store.fetch("things", SPEC, work).tensors is None
    assert work.times == 1


def test_numbers_come_back_as_they_went_in(store):
    value = {"psnr": [0.1 + 0.2, 1e-17, 31.123456789012345], "count": 3}
    store.fetch("things", SPEC, Work(value))
    assert store.get("things", SPEC).value == value


def test_a_failing_computation_stores_nothing(store):
    def fail():
        raise ArithmeticError("diverged")

    with pytest.raises(ArithmeticError, match="diverged"):
        store.fetch("things", SPEC, fail)
    assert _files(store) == set()
    assert store.fetch("things", SPEC, Work()).fresh


def test_a_failing_write_of_tensors_stores_nothing(store):
    def write(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("things", SPEC, lambda: ({"answer": 42}, write))
    assert _files(store) == set()


def test_an_interruption_between_tensors_and_json_leaves_no_entry(store, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("srdistill.study.store.write_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.fetch("things", SPEC, Work())
    assert _files(store) == {".safetensors"}
    assert store.get("things", SPEC) is None
    work = Work()
    assert store.fetch("things", SPEC, work).fresh
    assert work.times == 1


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path):
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


def _other_answer(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"value": {"answer": 41}}))


DAMAGES = {
    "json cut": (".json", _cut),
    "json empty": (".json", lambda path: path.write_text("")),
    "json of another shape": (".json", lambda path: path.write_text("[]")),
    "json not text": (".json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "answer changed": (".json", _other_answer),
    "tensors cut": (".safetensors", _cut),
    "one bit of the tensors": (".safetensors", _flip),
    "tensors gone": (".safetensors", lambda path: path.unlink()),
}


@pytest.mark.parametrize(("suffix", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_reported_and_computed_again(store, suffix, damage):
    store.fetch("things", SPEC, Work())
    damage(store.path("things", SPEC, suffix))
    work = Work()
    with pytest.warns(UserWarning, match="stored things .* is damaged .*computing it again"):
        entry = store.fetch("things", SPEC, work)
    assert work.times == 1
    assert entry.value == {"answer": 42}
    assert torch.equal(load_file(store.get("things", SPEC).tensors)["x"], torch.arange(1000))


def _compete(root, log, start):
    def make():
        with open(log, "a") as file:
            file.write("computed\n")
        time.sleep(0.3)
        return {"answer": 42}, None

    start.wait()
    entry = Store(root).fetch("things", SPEC, make)
    with open(log, "a") as file:
        file.write(f"answer {entry.value['answer']}\n")


def test_two_processes_that_ask_at_once_compute_once(store, tmp_path):
    context = multiprocessing.get_context("spawn")
    log, start = tmp_path / "log", context.Barrier(2)
    processes = [context.Process(target=_compete, args=(store.root, log, start)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(log.read_text().split("\n")) == ["", "answer 42", "answer 42", "computed"]
