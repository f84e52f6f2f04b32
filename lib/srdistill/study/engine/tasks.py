"""A task is one piece of work: a set, a network, a score, a prior, a teacher.

It is a frozen value: what kind of step, with which module-level function, settings and seed. Settings are JSON values, frozen
dataclasses of such, module-level functions, other tasks, and resources. Its key is the hash of all that, and of the code of
function and step, torch's version and the number of threads; another task counts by its key, pictures by their digest. Asking
for a finished task loads nothing but its answer.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from srdistill.rehearsing import rehearsing
from srdistill.study.engine.keys import code_digest, file_digest, is_library, key_of

if TYPE_CHECKING:
    from srdistill.study.engine.store import Entry
    from srdistill.study.engine.work import Work

# More threads gain small networks nothing, lose everything beside another program, and give other last bits.
THREADS = 1


class NotASetting(TypeError):
    """A setting that cannot be told from another, or not be sent to a worker; the message names it and the remedy."""


class OtherVersion(RuntimeError):
    """This process has other code, or another torch, than the one that asked for the task."""


class OtherData(RuntimeError):
    """Pictures or weights here are not those that the task was declared with."""


def _nothing_else(task: Task) -> Sequence[Callable]:
    return ()


@dataclass(frozen=True)
class Step:
    """A kind of task: how it is made from the opened settings, and how its stored answer is read.

    ``kind``: its folder in the store. ``make(task, work)`` returns (JSON value, writer of the tensor file or None);
    ``read(entry, task, work)`` what other tasks get. ``code(task)``: functions beside the task's own that decide the result.
    """

    kind: str
    make: Callable[[Task, Work], tuple[dict, Callable | None]]
    read: Callable[[Entry, Task, Work], object]
    code: Callable[[Task], Sequence[Callable]] = _nothing_else


@dataclass(frozen=True, eq=False)
class Task:
    """``label``: in words, for bars and errors; it does not count. ``alone``: its seconds are printed, so nothing else may run
    meanwhile. ``device``: ``cpu`` or ``cuda``. ``function``: None where the step needs none."""

    step: Step
    function: Callable | None
    settings: Mapping[str, object]
    seed: int = 0
    device: str = "cpu"
    alone: bool = False
    label: str = ""

    @property
    def kind(self) -> str:
        """The folder of its answer in the store."""
        return self.step.kind

    @cached_property
    def code(self) -> dict[str, str]:
        """Digests of the code behind it, by function; those of the library can be compared in another process."""
        found = {f"step {self.kind}": (file_digest, self.step.make)}
        for function in ([self.function] if self.function else []) + list(self.step.code(self)):
            found[_name(function)] = (code_digest, function)
        return {name: digest(function) for name, (digest, function) in found.items()}

    @cached_property
    def spec(self) -> dict:
        """All that the result depends on, as JSON values. Raises NotASetting."""
        if self.function:
            _check_function(self.function, "method")
        return {
            "kind": self.kind,
            "function": _name(self.function) if self.function else None,
            "settings": {name: plain(value, name) for name, value in self.settings.items()},
            "seed": self.seed,
            "device": self.device,
            "alone": self.alone,
            "code": self.code,
            "torch": torch.__version__,
            "threads": THREADS,
        } | ({"rehearsal": True} if rehearsing() else {})

    @cached_property
    def key(self) -> str:
        """The hash of ``spec``. It travels with the task: a notebook's function has another digest in another process."""
        return key_of(self.spec)

    @cached_property
    def needs(self) -> tuple[Task, ...]:
        """The tasks among its settings, each once."""
        return tuple({task.key: task for task in _tasks_in(self.settings)}.values())

    def timed(self) -> Task:
        """The same work as a task of its own that runs alone, so that its seconds mean something."""
        return replace(self, alone=True)

    def check_version(self) -> None:
        """Raise OtherVersion unless this process has the code of the library, and the torch, that the task was declared
        with."""
        own = [function for function in (self.function, *self.step.code(self)) if function and is_library(function)]
        here = {_name(one): code_digest(one) for one in own}
        if is_library(self.step.make):
            here[f"step {self.kind}"] = file_digest(self.step.make)
        other = [name for name, digest in here.items() if self.spec["code"].get(name) != digest]
        if torch.__version__ != self.spec["torch"]:
            other.append(f"torch ({torch.__version__} here, {self.spec['torch']} there)")
        if other:
            raise OtherVersion(
                f"{self.label or self.kind}: this worker has another {other[0]} than the process that asked; "
                "check out the same commit everywhere and restart the workers"
            )

    def __getstate__(self) -> dict:
        # Key and spec are made where the task is declared, nowhere else.
        return vars(self) | {"key": self.key}

    def __repr__(self) -> str:
        return f"<task {self.kind} {self.key[:8]}: {self.label}>"


@dataclass(frozen=True, eq=False)
class Resource:
    """Something that every process loads or builds for itself and nothing stores: pictures, published weights, an engine.

    ``loader``: a module-level function, called with the opened ``settings``, and the device if it takes one. ``hashed``: what
    it returns has a ``digest``, and counts by that alone: pictures, wherever they lie. Otherwise loader and settings count.
    """

    loader: Callable
    settings: Mapping[str, object] = field(default_factory=dict)
    hashed: bool = False

    @cached_property
    def digest(self) -> str:
        """Of a hashed resource; loads it. Raises what the loader raises if it is not at hand."""
        return _loaded(self.loader, self.settings).digest

    @property
    def needs(self) -> tuple[Task, ...]:
        """The tasks among its settings, each once."""
        return tuple({task.key: task for task in _tasks_in(self.settings)}.values())

    @cached_property
    def identity(self) -> dict:
        """What it counts by, as JSON values."""
        if self.hashed:
            return {"digest": self.digest}
        _check_function(self.loader, "loader")
        settings = {name: plain(value, name) for name, value in self.settings.items()}
        return {"loader": _name(self.loader), "code": code_digest(self.loader), "settings": settings}

    def load(self, opened: Callable[[object], object] = lambda value: value, device: str = "cpu") -> object:
        """What the loader gives; a hashed one is kept in this process while there is room, as nothing may change it.

        Raises OtherData if it is not the one that was declared; what the loader raises.
        """
        if self.hashed:
            found = _loaded(self.loader, self.settings)
            if found.digest != self.digest:
                raise OtherData(
                    f"{_name(self.loader)}({dict(self.settings)}) gives other data here than where the task was declared "
                    f"({found.digest[:8]} instead of {self.digest[:8]}); give every machine the same files"
                )
            return found
        settings = {name: opened(value) for name, value in self.settings.items()}
        if "device" in inspect.signature(self.loader).parameters:
            settings["device"] = device
        return self.loader(**settings)

    def __getstate__(self) -> dict:
        return vars(self) | ({"digest": self.digest} if self.hashed else {})


# Bytes of pictures that a process keeps beside those it loaded last; those used longest ago go first.
KEPT_BYTES = 8 * 2**30
_kept: dict[str, object] = {}


def _loaded(loader: Callable, settings: Mapping) -> object:
    place = f"{_name(loader)}({sorted(settings.items())})"
    found = _kept.pop(place, None)
    _drop_beyond(KEPT_BYTES)
    if found is None:
        found = loader(**settings)
    _kept[place] = found  # at the end: used last
    return found


def _drop_beyond(limit: int) -> None:
    while _kept and sum(map(_bytes_of, _kept.values())) > limit:
        del _kept[next(iter(_kept))]


def _bytes_of(pictures: object) -> int:
    images = getattr(pictures, "images", ())
    return images.nbytes if hasattr(images, "nbytes") else sum(image.nbytes for image in images)


def _name(function: Callable) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def plain(value: object, name: str = "value") -> object:
    """A JSON value that stands for the setting ``name``.

    Raises NotASetting for a lambda, a closure, a live network, a tensor, or anything else that has no content to go by.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(entry, f"{name}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry, name) for entry in value]
    if isinstance(value, Task):
        return {"task": value.key}
    if isinstance(value, Resource):
        return {"resource": value.identity}
    if is_dataclass(value) and not isinstance(value, type):
        content = {f.name: plain(getattr(value, f.name), f"{name}.{f.name}") for f in fields(value)}
        return {"class": _name(type(value))} | content
    if inspect.isfunction(value) or isinstance(value, type):
        _check_function(value, name)
        return {"function": _name(value), "code": code_digest(value)}
    raise NotASetting(
        f"setting {name!r} is a {type(value).__name__}, which cannot be told from another; give numbers, strings, lists, "
        "frozen dataclasses, module-level functions, or the task that makes it, e.g. network=study.student(row, ...)"
    )


def _check_function(function: Callable, name: str) -> None:
    """Raise NotASetting for a function whose code is not all there is to it: what it was made with would not count."""
    if is_library(function) and _at_its_place(function):
        return  # decorated or not, its module is what counts
    known = inspect.isfunction(function) or isinstance(function, type)
    if not known or getattr(function, "__closure__", None) or "<lambda>" in function.__qualname__:
        what = getattr(function, "__qualname__", type(function).__name__)
        raise NotASetting(
            f"setting {name!r} is a function without a place of its own ({what}); define it with def at the "
            "top of a notebook cell or module, and hand what it needs over as settings"
        )


def _at_its_place(function: Callable) -> bool:
    found = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _tasks_in(value: object) -> Iterator[Task]:
    if isinstance(value, Task):
        yield value
    elif isinstance(value, Resource):
        yield from _tasks_in(value.settings)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _tasks_in(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _tasks_in(entry)


def graph(tasks: Sequence[Task], finished: Callable[[Task], bool] = lambda task: False) -> list[Task]:
    """The tasks and all that they need, needs first, each once; what is ``finished`` and what only it needs are left out."""
    order: dict[str, Task] = {}

    def visit(task: Task) -> None:
        if task.key not in order and not finished(task):
            for need in task.needs:
                visit(need)
            order[task.key] = task

    for task in tasks:
        visit(task)
    return list(order.values())
