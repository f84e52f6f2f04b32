"""Finished work is kept whole, checked when read, and computed once, whoever asks."""

import json
import math
import multiprocessing
import threading
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from srdistill.files import DiskError
from srdistill.study.engine import store as module
from srdistill.study.engine.store import Store

KEY, SPEC = "0123abcd", {"method": "m", "seed": 0}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


class Work:
    """A computation that counts how often it is done."""

    def __init__(self, value=None, tensors=True):
        self.value, self.tensors, self.times = value or {"answer": 42}, tensors, 0

    def __call__(self, checkpoint=None):
        self.times += 1
        write = (lambda path: save_file({"x": torch.arange(1000)}, path)) if self.tensors else None
        return self.value, write


def _files(store: Store) -> set[str]:
    return {path.suffix for path in (store.root / "things").iterdir()} - {".lock"}


def test_first_fetch_computes_and_second_reads(store):
    work = Work()
    first = store.fetch("things", KEY, SPEC, work)
    second = store.fetch("things", KEY, SPEC, work)
    assert work.times == 1
    assert (first.fresh, second.fresh) == (True, False)
    assert first.key == second.key
    assert second.value == {"answer": 42}
    assert torch.equal(load_file(second.tensors)["x"], torch.arange(1000))


def test_another_store_on_the_same_folder_finds_the_entry(store):
    store.fetch("things", KEY, SPEC, Work())
    assert Store(store.root).get("things", KEY).value == {"answer": 42}


def test_other_keys_and_kinds_are_other_entries(store):
    store.fetch("things", KEY, SPEC, Work())
    assert store.get("things", "other") is None and store.get("others", KEY) is None
    assert store.has("things", KEY)
    assert not store.has("things", "other") and not store.has("others", KEY)


def test_what_was_asked_stands_beside_the_answer(store):
    store.fetch("things", KEY, SPEC, Work())
    body = json.loads(store.path("things", KEY).read_text())
    assert body["spec"] == SPEC and body["value"] == {"answer": 42} and body["seconds"] >= 0


def test_an_entry_without_tensors(store):
    work = Work(tensors=False)
    assert store.fetch("things", KEY, SPEC, work).tensors is None
    assert store.fetch("things", KEY, SPEC, work).tensors is None
    assert work.times == 1


def test_numbers_come_back_as_they_went_in(store):
    value = {"psnr": [0.1 + 0.2, 1e-17, 31.123456789012345], "count": 3, "none": None, "not finite": [math.inf]}
    store.fetch("things", KEY, SPEC, Work(value))
    assert store.get("things", KEY).value == value


def test_keys_of_an_answer_come_back_as_text(store):
    store.fetch("things", KEY, SPEC, Work({"by step": {2: 0.5, 10: 0.25}}))
    assert store.get("things", KEY).value == {"by step": {"2": 0.5, "10": 0.25}}


def test_a_failing_computation_stores_nothing(store):
    def fail(checkpoint):
        raise ArithmeticError("diverged")

    with pytest.raises(ArithmeticError, match="diverged"):
        store.fetch("things", KEY, SPEC, fail)
    assert _files(store) == set()
    assert store.fetch("things", KEY, SPEC, Work()).fresh


def test_a_failing_write_of_tensors_stores_nothing(store):
    def write(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("things", KEY, SPEC, lambda checkpoint: ({"answer": 42}, write))
    assert _files(store) == set()


def test_an_interruption_between_tensors_and_json_leaves_no_entry(store, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("srdistill.study.engine.store.write_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.fetch("things", KEY, SPEC, Work())
    assert _files(store) == {".safetensors"}
    assert store.get("things", KEY) is None
    work = Work()
    assert store.fetch("things", KEY, SPEC, work).fresh
    assert work.times == 1


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path):
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


def _with(**entries):
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def _without(name):
    def remove(path):
        body = json.loads(path.read_text())
        del body[name]
        path.write_text(json.dumps(body))

    return remove


def _resigned(seconds):
    """An entry with a sound checksum, written by a library that did not look at the seconds."""

    def write(path):
        body = json.loads(path.read_text()) | {"seconds": seconds}
        path.write_text(json.dumps(body | {"checksum": module._checksum(body)}))

    return write


DAMAGES = {
    "json cut": (".json", _cut),
    "json empty": (".json", lambda path: path.write_text("")),
    "json of another shape": (".json", lambda path: path.write_text("[]")),
    "json not text": (".json", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "answer changed": (".json", _with(value={"answer": 41})),
    "answer gone": (".json", _without("value")),
    "seconds gone": (".json", _without("seconds")),
    "seconds changed": (".json", _with(seconds=1.5)),
    "seconds negative": (".json", _resigned(-5)),
    "seconds no number": (".json", _resigned(math.nan)),
    "seconds infinite": (".json", _resigned(math.inf)),
    "seconds in words": (".json", _resigned("soon")),
    "checksum gone": (".json", _without("checksum")),
    "tensors cut": (".safetensors", _cut),
    "one bit of the tensors": (".safetensors", _flip),
    "tensors gone": (".safetensors", lambda path: path.unlink()),
}


@pytest.mark.parametrize(("suffix", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_reported_and_computed_again(store, suffix, damage):
    store.fetch("things", KEY, SPEC, Work())
    damage(store.path("things", KEY, suffix))
    module._hash_of.cache_clear()  # as in another process: a file changed within a clock tick looks the same
    work = Work()
    with pytest.warns(UserWarning, match="stored things .* is damaged .*computing it again"):
        entry = store.fetch("things", KEY, SPEC, work)
    assert work.times == 1
    assert entry.value == {"answer": 42} and entry.fresh and entry.seconds >= 0
    assert torch.equal(load_file(store.get("things", KEY).tensors)["x"], torch.arange(1000))


def test_a_damaged_entry_is_no_entry(store):
    store.fetch("things", KEY, SPEC, Work())
    _with(seconds=-5)(store.path("things", KEY))
    with pytest.warns(UserWarning, match="damaged"):
        assert store.get("things", KEY) is None
    assert store.has("things", KEY)  # a plan asks of thousands, and does not read them


def test_a_missing_field_is_called_by_its_name(store):
    store.fetch("things", KEY, SPEC, Work())
    _without("seconds")(store.path("things", KEY))
    with pytest.warns(UserWarning, match="no 'seconds'"):
        store.get("things", KEY)


def test_a_full_disk_is_said_and_leaves_nothing(store, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskError, match="no room to write .*free some space and run again"):
        store.fetch("things", KEY, SPEC, lambda checkpoint: ({"answer": 42}, full))
    assert _files(store) == set()


def test_the_checkpoint_lies_beside_the_entry_and_goes_with_the_work(store):
    seen = []

    def make(checkpoint):
        checkpoint.save({"step": 1})
        seen.append(sorted(path.name for path in checkpoint.path.parent.glob(f"{KEY}.*")))
        return {"answer": 42}, None

    store.fetch("things", KEY, SPEC, make)
    assert f"{KEY}.checkpoint" in seen[0]
    assert _files(store) == {".json"}


def test_seconds_of_an_interrupted_attempt_count(store):
    def interrupted(checkpoint):
        time.sleep(0.3)
        checkpoint.save({"step": 1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("things", KEY, SPEC, interrupted)

    def resumed(checkpoint):
        assert checkpoint.load() == {"step": 1}
        return {"answer": 42}, None

    entry = store.fetch("things", KEY, SPEC, resumed)
    assert 0.3 <= entry.seconds < 5 and store.get("things", KEY).seconds == entry.seconds


def test_seconds_of_an_earlier_phase_count(store):
    def interrupted(checkpoint):
        time.sleep(0.3)
        checkpoint.part("first").save({"step": 1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch("things", KEY, SPEC, interrupted)

    def resumed(checkpoint):
        assert checkpoint.part("first").load() == {"step": 1} and checkpoint.load() is None
        return {"answer": 42}, None

    assert 0.3 <= store.fetch("things", KEY, SPEC, resumed).seconds < 5
    assert _files(store) == {".json"}


def test_looking_up_reads_the_tensors_once(store, monkeypatch):
    store.fetch("things", KEY, SPEC, Work())
    module._hash_of.cache_clear()
    for _ in range(100):
        store.get("things", KEY)
    assert module._hash_of.cache_info().misses == 1


def test_two_threads_that_ask_at_once_compute_once(store):
    work, found = Work(), []

    def slow(checkpoint):
        time.sleep(0.2)
        return work()

    def ask():
        found.append(Store(store.root).fetch("things", KEY, SPEC, slow))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert work.times == 1
    assert sorted(entry.fresh for entry in found) == [False, False, False, True]
    assert all(entry.value == {"answer": 42} for entry in found)


def _compete(root, log, start):
    def make(checkpoint):
        with open(log, "a") as file:
            file.write("computed\n")
        time.sleep(0.3)
        return {"answer": 42}, None

    start.wait()
    entry = Store(root).fetch("things", KEY, SPEC, make)
    with open(log, "a") as file:
        file.write(f"answer {entry.value['answer']}\n")


def test_two_processes_that_ask_at_once_compute_once(store, tmp_path):
    context = multiprocessing.get_context("spawn")
    log, start = tmp_path / "log", context.Barrier(2)
    processes = [context.Process(target=_compete, args=(store.root, log, start)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)  # each of them imports torch first
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(log.read_text().split("\n")) == ["", "answer 42", "answer 42", "computed"]
