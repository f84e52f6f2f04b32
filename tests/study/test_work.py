"""What a worker does: it makes what was declared, and nothing else."""

import pickle
from dataclasses import replace

import pytest
import torch

from srdistill.images.pictures import Pictures
from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.settings import Matching
from srdistill.priors.inversion_recipe import InversionRecipe
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.noise import noise
from srdistill.study.engine import tasks, work
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import OtherData, OtherVersion, Resource, Step, Task
from srdistill.study.engine.work import NoSuchDevice, Work, device_kind, perform, settle
from srdistill.study.pictures import pictures as picture_resource
from srdistill.study.rows import ORIGINAL
from srdistill.study.steps.sets import SET
from srdistill.training import checkpoint as checkpoints
from srdistill.training import resumable


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


PHOTOS = picture_resource("photos", "train", 96)


def a_set(function=noise, **settings) -> Task:
    return Task(SET, function, {"real": PHOTOS, "ipc": 1, "size": 32} | settings, label="a set")


def test_a_set_is_made_once_and_read_as_it_was_written(store):
    first, second = perform(a_set(), store.root), perform(a_set(), store.root)
    assert (first.fresh, second.fresh) == (True, False) and first.key == a_set().key
    made = Work(store, "cpu").open(a_set())
    assert isinstance(made, DistilledSet) and made.digest == first.value["digest"]
    assert vars(made.sizes) == first.value["sizes"]


def halved(real, *, size, generator, start):
    return DistilledSet(start.images[::2], start.labels[::2], real.names, "halved")


def test_needs_come_opened_and_are_made_where_the_store_has_lost_them(store):
    task = a_set(halved, start=a_set(ipc=2))
    task = Task(SET, halved, {name: value for name, value in task.settings.items() if name != "ipc"})
    perform(task, store.root)
    assert len(Work(store, "cpu").open(task)) == 7
    assert len(list((store.root / "sets").glob("*.json"))) == 2


def seeing(real, *, generator, device, nested):
    seen.append((device, nested))
    return DistilledSet(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.tensor([0]), real.names, "seeing")


seen = []


def test_settings_are_opened_at_any_depth_and_stay_what_they_were(store):
    seen.clear()
    perform(Task(SET, seeing, {"real": PHOTOS, "nested": {"list": [a_set(), 2], "pair": (1, PHOTOS)}}), store.root)
    ((device, nested),) = seen
    assert device == "cpu" and isinstance(nested["list"][0], DistilledSet) and nested["list"][1] == 2
    assert isinstance(nested["pair"], tuple) and isinstance(nested["pair"][1], Pictures)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_another_version_is_refused_before_anything_is_made(store, changed_code):
    sent = pickle.loads(pickle.dumps(a_set()))
    changed_code("srdistill.sets.noise")
    with pytest.raises(OtherVersion, match="a set: this worker has another srdistill.sets.noise.noise"):
        perform(sent, store.root)
    assert not store.has("sets", sent.key)


def test_other_pictures_are_refused(store, monkeypatch):
    sent = pickle.loads(pickle.dumps(a_set()))
    perform(sent, store.root)  # the same pictures, loaded anew
    monkeypatch.setattr(tasks, "_kept", {})
    cut = Pictures(PHOTOS.load().images[:3], PHOTOS.load().names[:3], "others")
    monkeypatch.setattr(tasks, "_kept", {f"{tasks._name(PHOTOS.loader)}({sorted(PHOTOS.settings.items())})": cut})
    other = pickle.loads(pickle.dumps(replace(sent, seed=1)))
    assert other.settings["real"].digest == PHOTOS.digest
    with pytest.raises(OtherData, match=f"instead of {PHOTOS.digest[:8]}.*give every machine the same files"):
        perform(other, store.root)
    assert not store.has("sets", other.key)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_task_for_a_gpu_is_refused_where_there_is_none(store):
    with pytest.raises(NoSuchDevice, match="a set: this worker has no GPU.*SRDISTILL_DEVICE=cpu"):
        perform(replace(a_set(), device="cuda"), store.root)


def test_the_device_is_named_or_found(monkeypatch):
    monkeypatch.setenv("SRDISTILL_DEVICE", "cuda")
    assert device_kind() == "cuda"
    monkeypatch.setenv("SRDISTILL_DEVICE", "abacus")
    with pytest.raises(ValueError, match="SRDISTILL_DEVICE is 'abacus'; it can be cpu or cuda"):
        device_kind()
    monkeypatch.delenv("SRDISTILL_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_kind() == "cuda"


def test_whatever_is_performed_has_one_thread(store, monkeypatch):
    found = []

    def make(task, work):
        found.append(torch.get_num_threads())
        return {}, None

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        perform(Task(Step("own", make, None), None, {}), store.root)
        torch.set_num_threads(3)
        settle()
        found.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert found == [1, 1] and tasks.THREADS == 1


def bare_images(real, *, ipc, size, generator):
    return torch.zeros(7, 3, size, size, dtype=torch.uint8)


def test_a_method_that_returns_no_set_is_told_what_to_return(store):
    with pytest.raises(TypeError, match="a set: the method returned a Tensor; it must return a DistilledSet"):
        perform(a_set(bare_images), store.root)


# --- seconds over attempts --------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Time stands still but for ``clock(seconds)``; checkpoints are saved after every step."""
    now = [1000.0]
    monkeypatch.setattr(checkpoints, "PAUSE", 0.0)
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def _steps_of_ten_seconds(monkeypatch, clock, stop=None):
    """Every step of every loop takes ten seconds; Ctrl-C comes before step ``stop``."""

    def bar(items, label, total=None, initial=0):
        for item in items:
            if item == stop:
                raise KeyboardInterrupt
            clock(10)
            yield item

    monkeypatch.setattr(resumable, "bar", bar)


def test_seconds_add_up_over_attempts(store, monkeypatch, clock):
    matching = Matching(iterations=6, crop=48, step=48, batch_real=2)
    task = a_set(gradient_matching, start="downscaled", matching=matching)
    _steps_of_ten_seconds(monkeypatch, clock, stop=4)
    with pytest.raises(KeyboardInterrupt):
        perform(task, store.root)
    _steps_of_ten_seconds(monkeypatch, clock)
    entry = perform(task, store.root)
    # Four steps before, of which the last was not saved, and what was left to do.
    assert entry.seconds == 60.0 and store.get("sets", task.key).seconds == 60.0
    assert not list((store.root / "sets").glob("*.checkpoint*"))


@pytest.mark.parametrize("tuning", [0, 2])
def test_seconds_of_work_in_phases_add_up_too(store, monkeypatch, clock, smoke_study, tuning):
    study = smoke_study("dietz_t4")
    inverted = study.rows()["Inversion, high-pass loss"]
    inverted.settings["recipe"] = InversionRecipe(iterations=5, tuning_iterations=tuning)
    task = study.set_task(inverted, 0)
    perform(task.needs[0], store.root)
    _steps_of_ten_seconds(monkeypatch, clock, stop=3)
    with pytest.raises(KeyboardInterrupt):
        perform(task, store.root)
    _steps_of_ten_seconds(monkeypatch, clock)
    assert perform(task, store.root).seconds == 10.0 * (5 + tuning)


def test_seconds_of_a_student_are_those_of_both_attempts(store, monkeypatch, clock, smoke_study):
    study = smoke_study()
    task = study.student(study.row(ORIGINAL), "SRCNN", 0)
    _steps_of_ten_seconds(monkeypatch, clock, stop=2)
    with pytest.raises(KeyboardInterrupt):
        perform(task, store.root)
    _steps_of_ten_seconds(monkeypatch, clock)
    interrupted = perform(task, store.root)
    assert interrupted.seconds == 40.0
    _, _, seconds = study.trained(study.row(ORIGINAL), "SRCNN", 0)
    assert seconds == 40.0


def test_a_worker_says_what_it_does(store, monkeypatch):
    messages = []

    class Worker:
        def log_event(self, topic, message):
            messages.append((topic, message))

    monkeypatch.setattr("distributed.get_worker", Worker)
    task = a_set()
    assert work.perform_remotely(task, str(store.root))[0] is True
    assert work.perform_remotely(task, str(store.root))[0] is False
    assert {topic for topic, _ in messages} == {"srdistill"}
    assert {message["key"] for _, message in messages} == {task.key} and {m["task"] for _, m in messages} == {"a set"}
    assert [m["event"] for _, m in messages] == ["started", "finished"] * 2
    assert [m["fresh"] for _, m in messages if m["event"] == "finished"] == [True, False]


def loads_a_resource(loaded):
    return loaded


def test_a_resource_that_is_not_hashed_is_loaded_for_every_use(store):
    opened = Work(store, "cpu").opened(Resource(loads_a_resource, {"loaded": a_set()}))
    assert isinstance(opened, DistilledSet)
