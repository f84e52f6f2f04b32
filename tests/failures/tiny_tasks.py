"""Tasks of a moment, some of which go wrong: what workers import to perform them."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from srdistill.study.engine.tasks import Step, Task


def make(task: Task, work):
    given = {name: work.opened(value) for name, value in task.settings.items()}
    return {"value": task.function(**given)}, None


def read(entry, task: Task, work):
    return entry.value["value"]


STEP = Step("tiny", make, read)


def tiny(function: Callable, label: str, **settings) -> Task:
    """A task of this function; ``label`` counts, so that two of them differ."""
    return Task(STEP, function, {"name": label} | settings, label=label)


def total(name: str, of: list = (), plus: int = 1) -> int:
    return sum(of) + plus


def killed(name: str, marker: str, times: int) -> int:
    """Its process is killed so many times, then it gets through."""
    with open(marker, "a") as file:
        file.write("x")
    if os.path.getsize(marker) <= times:
        os.kill(os.getpid(), 9)
    return os.path.getsize(marker)


def fails(name: str) -> int:
    raise ArithmeticError("not today")


def waits(name: str, marker: str, until: str) -> int:
    Path(marker).touch()
    end = time.monotonic() + 30
    while not Path(until).exists() and time.monotonic() < end:
        time.sleep(0.05)
    return 1


def fills_the_disk(name: str) -> str:
    # A file that would grow beyond a limit is what a full disk looks like to the writer.
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
    return "x" * 1000
