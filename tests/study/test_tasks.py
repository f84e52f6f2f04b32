"""Tasks: what a key holds and what it does not, what cannot be a setting, and the order of work."""

import functools
import pickle
import sys
from dataclasses import dataclass, replace

import cloudpickle
import pytest
import torch

from srdistill.images.pictures import Pictures
from srdistill.networks import build_network
from srdistill.papers.dietz.gradient_matching import gradient_matching
from srdistill.papers.dietz.settings import Matching
from srdistill.sets.noise import noise
from srdistill.study.engine import tasks
from srdistill.study.engine.tasks import NotASetting, OtherVersion, Resource, Task, graph, plain
from srdistill.study.generators import LOADERS, generator
from srdistill.study.pictures import pictures as picture_resource
from srdistill.study.rows import ORIGINAL
from srdistill.study.steps.networks import NETWORK
from srdistill.study.steps.sets import SET
from srdistill.training.recipe import Recipe
from srdistill.training.sr import train


def method(real, *, size, generator):
    return real, size


def other_method(real, *, size, generator):
    return real, size + 1


def a_set(function=noise, seed=0, label="a set", device="cpu", alone=False, **settings) -> Task:
    return Task(SET, function, {"ipc": 1, "size": 32} | settings, seed, device, alone, label)


def a_network(images=None, architecture="EDSR", **settings) -> Task:
    given = {"images": images, "architecture": architecture, "sizes": {"width": 8}, "recipe": Recipe(4, 2, 24), "scale": 2}
    return Task(NETWORK, train, given | settings, label="a network")


# --- what a key holds -------------------------------------------------------------------------------------------------


def test_equal_tasks_have_one_key_and_the_label_does_not_count():
    assert a_set().key == a_set().key == a_set(label="by another name").key


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1}, {"alone": True}, {"device": "cuda"}, {"function": method}, {"ipc": 2}, {"ipc": 1.0}, {"ipc": "1"},
        {"ipc": True}, {"size": 48}, {"start": None}, {"matching": Matching()}, {"start": ["noise"]},
        {"start": {"kind": "noise"}}, {"start": method},
    ],
    ids=", ".join,  # the values of functions print addresses, which differ between the processes of a run
)  # fmt: skip
def test_everything_else_counts(changes):
    assert a_set(**changes).key != a_set().key


def test_every_field_of_a_settings_class_counts():
    before = a_set(matching=Matching()).key
    for changes in ({"iterations": 5}, {"lr": 2.0}, {"distance": "cosine"}, {"flips": False}):
        assert a_set(matching=replace(Matching(), **changes)).key != before


def test_two_classes_of_the_same_content_are_two_settings():
    @dataclass(frozen=True)
    class One:
        rate: float = 1.0

    @dataclass(frozen=True)
    class Two:
        rate: float = 1.0

    assert plain(One()) == plain(One()) != plain(Two())


def test_torch_and_the_number_of_threads_count(monkeypatch):
    before = a_set().key
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "0.0.1")
        assert a_set().key != before
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "THREADS", 2)
        assert a_set().key != before
    assert a_set().key == before


@pytest.mark.parametrize(
    ("module", "makes"),
    [
        ("srdistill.papers.dietz.gradient_matching", lambda: a_set(gradient_matching)),
        ("srdistill.training.gradient_distances", lambda: a_set(gradient_matching)),
        ("srdistill.study.steps.sets", a_set),
        ("srdistill.study.steps.networks", a_network),
        ("srdistill.networks", a_network),
        ("srdistill.networks.edsr", a_network),
        ("srdistill.training.sr", a_network),
        ("srdistill.images.crops", a_network),
    ],
)
def test_code_of_method_step_and_network_counts(module, makes, changed_code):
    before = makes().key
    assert makes().key == before
    changed_code(module)
    assert makes().key != before


def test_code_that_has_no_part_does_not_count(changed_code):
    before = a_set().key, a_network().key
    changed_code("srdistill.papers.dietz.gradient_matching", "srdistill.study.pages.tables", "srdistill.study.engine.execution")
    assert (a_set().key, a_network().key) == before


def test_the_function_that_builds_networks_is_in_the_key_by_name():
    code = a_network(architecture="SRCNN").spec["code"]
    assert {"srdistill.networks.build_network", "srdistill.networks.srcnn.SRCNN", "srdistill.training.sr.train"} <= set(code)


def test_code_of_a_function_among_the_settings_counts(changed_code):
    before = a_set(start=gradient_matching).key
    changed_code("srdistill.papers.dietz.gradient_matching")
    assert a_set(start=gradient_matching).key != before


def test_a_needed_tasks_setting_counts_and_its_label_does_not():
    def key(**changes):
        return a_network(images=a_set(**changes)).key

    assert key() == key(label="other words")
    assert len({key(), key(ipc=2), key(seed=1), key(function=method), a_network(images=None).key}) == 5


def test_scale_counts():
    assert a_network().key != a_network(scale=4).key


@pytest.mark.parametrize(
    ("table", "part"),
    [("dietz_t1", lambda s: s.set_task(s.row("x", noise, ipc=1), 0)), ("dietz_t1", lambda s: s.scoring(None)),
     ("dietz_t1", lambda s: s.student(s.row(ORIGINAL), "EDSR", 0))],
    ids=["set", "scores", "student"],
)  # fmt: skip
def test_a_studys_tasks_hold_device_seed_and_pictures(table, part, smoke_study, monkeypatch, tmp_path, pictures):
    before = part(smoke_study(table))
    (tmp_path / "own" / "test").mkdir(parents=True)
    for place in ("own", "own/test"):
        for name, image in pictures:
            _write(tmp_path / place / f"{name}.png", image)
    assert part(smoke_study(table, data=str(tmp_path / "own"))).key != before.key
    monkeypatch.setenv("SRDISTILL_DEVICE", "cuda")
    assert part(smoke_study(table)).key != before.key
    assert replace(before, seed=1).key != before.key


def _write(path, image) -> None:
    from srdistill.sets.distilled_set import png_bytes

    path.write_bytes(png_bytes(image))


class _Metric:
    def __init__(self, digest):
        self.digest = digest


def metric(backbone):
    return _Metric(backbone)


def test_lpips_present_absent_and_other_are_three_scores(smoke_study, monkeypatch):
    found = []
    for lpips in (None, Resource(metric, {"backbone": "a"}, hashed=True), Resource(metric, {"backbone": "b"}, hashed=True)):
        study = smoke_study()
        study.lpips = lpips
        found.append(study.scoring(None).key)
    assert len(set(found)) == 3


def test_scale_and_test_pictures_are_in_the_key_of_scores(smoke_study):
    study = smoke_study()
    before = study.scoring(None)
    assert before.key != study.scoring(None, 4).key
    assert before.key == smoke_study("dietz_t2").scoring(None).key
    study.test_sets = {"photos": picture_resource("photos", "test", 48)}
    assert before.key != study.scoring(None).key


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_pictures_count_by_content_wherever_they_lie(tmp_path, pictures):
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        for name, image in pictures:
            _write(tmp_path / folder / f"{name}.png", image if folder != "three" else image.flip(2))
    one, two, three = (a_set(real=picture_resource(str(tmp_path / name), "train")).key for name in ("one", "two", "three"))
    assert one == two != three


def test_a_resource_that_is_not_hashed_counts_by_its_code_and_settings(changed_code):
    def key(**settings):
        return a_set(real=Resource(build_network, settings)).key

    assert key(a=1) == key(a=1) != key(a=2)
    assert a_set(real=Resource(build_network, {"made": a_set()})).needs[0].key == a_set().key
    before = key(a=1)
    changed_code("srdistill.networks")
    assert key(a=1) != before


# --- what cannot be a setting -----------------------------------------------------------------------------------------


def made_with(value):
    def inner(real, **settings):
        return value

    return inner


REFUSED = {
    "lambda": lambda x: x,
    "closure": made_with(3),
    "live network": torch.nn.Conv2d(1, 1, 1),
    "tensor": torch.ones(2),
    "pictures": Pictures((torch.zeros(3, 8, 8, dtype=torch.uint8),), ("one",)),
    "object": object(),
    "generator of numbers": torch.Generator(),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("wrapped", [lambda v: v, lambda v: [v], lambda v: {"deep": v}], ids=["bare", "list", "dict"])
def test_what_has_no_content_to_go_by_is_refused_with_name_and_remedy(value, wrapped):
    with pytest.raises(NotASetting, match=r"setting 'start[.a-z]*' is a .*(define it with def|network=study\.student)"):
        _ = a_set(start=wrapped(value)).key


@pytest.mark.parametrize("function", [lambda real: real, made_with(3), print], ids=["lambda", "closure", "built-in"])
def test_a_method_without_a_place_of_its_own_is_refused(function):
    with pytest.raises(NotASetting, match="'method' is a function without a place of its own .*define it with def at the top"):
        _ = a_set(function).key
    with pytest.raises(NotASetting, match="'loader' is a function without"):
        _ = a_set(real=Resource(function)).key


def test_a_decorated_function_of_the_library_is_found_at_its_place(monkeypatch):
    wrapper = functools.wraps(noise)(made_with(noise))
    with pytest.raises(NotASetting):  # it says that it is ``noise``, which is another function
        _ = a_set(wrapper).key
    monkeypatch.setattr(sys.modules[noise.__module__], "noise", wrapper)
    assert a_set(wrapper).key == a_set(wrapper).key


@pytest.mark.parametrize("kind", list(LOADERS))
def test_published_generators_can_be_named(kind):
    assert len(a_set(prior=generator(kind, None, None, "cpu")).key) == 32


# --- on the way to a worker -------------------------------------------------------------------------------------------


def _notebook(source: str) -> dict:
    namespace = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), namespace)
    return namespace


def test_a_pickled_task_brings_its_key(changed_code):
    task = a_network(images=a_set())
    body = pickle.dumps(task)
    key = task.key
    changed_code("srdistill.networks", "srdistill.sets.noise")
    found = pickle.loads(body)
    assert found.key == key and found.needs[0].key == task.needs[0].key
    assert found.spec["code"] == task.spec["code"]


def test_a_task_that_nobody_asked_for_its_key_brings_it_too():
    task = a_set()
    assert "key" not in vars(task)
    assert "key" in vars(pickle.loads(pickle.dumps(task)))


def test_a_notebooks_function_has_the_same_key_after_the_journey(monkeypatch):
    function = _notebook("def method(real, *, size, generator):\n    return [size for _ in real]\n")["method"]
    task = a_set(function)
    body = cloudpickle.dumps(task)
    monkeypatch.setattr(tasks, "code_digest", lambda one: "another process reads another source")
    found = cloudpickle.loads(body)
    assert found.key == task.key and found.function([1], size=2, generator=None) == [2]
    found.check_version()  # of a notebook's code there is nothing to compare


def test_a_notebooks_step_is_not_compared_either(monkeypatch):
    names = _notebook("def make(task, work):\n    return {}, None\ndef read(entry, task, work):\n    return None\n")
    task = Task(tasks.Step("own", names["make"], names["read"]), None, {})
    found = cloudpickle.loads(cloudpickle.dumps(task))
    monkeypatch.setattr(tasks, "file_digest", lambda one: "other")
    found.check_version()


@pytest.mark.parametrize(
    "module", ["srdistill.sets.noise", "srdistill.study.steps.sets", "srdistill.images.pictures"]
)
def test_a_worker_with_other_code_refuses(module, changed_code):
    found = pickle.loads(pickle.dumps(a_set()))
    found.check_version()
    changed_code(module)
    with pytest.raises(OtherVersion, match="a set: this worker has another s.*check out the same commit"):
        found.check_version()


def test_a_worker_with_another_builder_of_networks_refuses(changed_code):
    found = pickle.loads(pickle.dumps(a_network()))
    changed_code("srdistill.networks.edsr")
    with pytest.raises(OtherVersion, match="restart the workers"):
        found.check_version()


def test_a_worker_with_another_torch_refuses(monkeypatch):
    found = pickle.loads(pickle.dumps(a_set()))
    monkeypatch.setattr(torch, "__version__", "0.0.1")
    with pytest.raises(OtherVersion, match=r"another torch \(0.0.1 here"):
        found.check_version()


# --- graphs -----------------------------------------------------------------------------------------------------------


def test_needs_are_found_wherever_they_stand_each_once():
    first, second, third = a_set(seed=1), a_set(seed=2), a_set(seed=3)
    task = a_set(a=first, b=[second, {"c": third}], d=Resource(build_network, {"e": (first, a_set(seed=4))}))
    assert [need.seed for need in task.needs] == [1, 2, 3, 4]


def test_a_graph_has_needs_first_and_each_task_once():
    made = a_set()
    one, two = a_network(images=made), a_network(images=a_set(), scale=4)
    found = graph([two, one, made])
    assert [task.kind for task in found] == ["sets", "networks", "networks"]
    assert {task.key for task in found} == {made.key, one.key, two.key}


def test_what_is_finished_and_what_only_it_needs_is_left_out():
    prior, shared = a_set(seed=1), a_set(seed=2)
    inverted = a_set(prior=prior, shared=shared)
    student, other = a_network(images=inverted), a_network(images=shared)
    assert graph([student], lambda task: task.key == inverted.key) == [student]
    assert [task.key for task in graph([student, other], lambda t: t.key == inverted.key)] == [
        student.key, shared.key, other.key,
    ]  # fmt: skip
    assert graph([student], lambda task: task.key == student.key) == []


def test_a_timed_task_is_another_one():
    assert a_network().timed().alone and a_network().timed().key != a_network().key
