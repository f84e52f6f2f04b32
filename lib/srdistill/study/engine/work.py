"""What a worker runs: ``perform(task, root)``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from srdistill import progress
from srdistill.rehearsing import rehearse, rehearsing
from srdistill.study.engine.store import Entry, Store
from srdistill.study.engine.tasks import THREADS, Resource, Task
from srdistill.training.checkpoint import Checkpoint

# Names the device of all tasks; without it a GPU is used where the notebook sees one.
DEVICE = "SRDISTILL_DEVICE"


class NoSuchDevice(RuntimeError):
    """A task for a GPU on a worker that has none."""


def device_kind() -> str:
    """``cuda`` or ``cpu``: what ``SRDISTILL_DEVICE`` says, or what is there; a rehearsal is on the CPU.

    Raises ValueError: it says something else.
    """
    chosen = os.environ.get(DEVICE) or ("cuda" if torch.cuda.is_available() and not rehearsing() else "cpu")
    if chosen not in ("cpu", "cuda"):
        raise ValueError(f"{DEVICE} is {chosen!r}; it can be cpu or cuda")
    return chosen


def settle() -> None:
    """One thread, and the deterministic kernels: two runs are to agree bit for bit."""
    if torch.get_num_threads() != THREADS:
        torch.set_num_threads(THREADS)
    # cuDNN's search for the fastest kernel is what mostly prevents it.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


@dataclass(frozen=True)
class Work:
    """What a step has at hand: the store, the device, and a checkpoint for its own loop."""

    store: Store
    device: str
    checkpoint: Checkpoint | None = None

    def opened(self, value: object) -> object:
        """A setting with tasks and resources replaced by what they stand for; networks are on the device."""
        if isinstance(value, Task):
            return self.open(value)
        if isinstance(value, Resource):
            return self._placed(value.load(self.opened, self.device))
        if isinstance(value, Mapping):
            return {name: self.opened(entry) for name, entry in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.opened(entry) for entry in value)
        return value

    def open(self, task: Task) -> object:
        """The answer of a task as others use it; made first if the store has lost it."""
        entry = self.store.get(task.kind, task.key) or perform(task, self.store.root)
        return self._placed(task.step.read(entry, task, self))

    def _placed(self, value: object) -> object:
        return value.to(self.device) if isinstance(value, torch.nn.Module) else value


def perform(task: Task, root: Path | str) -> Entry:
    """Make the task's answer, or find it, in the store at ``root``; what it needs is taken from there.

    Raises:
        OtherVersion: this process has other code than the one that declared the task. NoSuchDevice: no GPU here. DiskError: no
        room. What the step raises.
    """
    settle()
    rehearse("rehearsal" in task.spec)
    task.check_version()
    if task.device == "cuda" and not torch.cuda.is_available():
        raise NoSuchDevice(f"{task.label}: this worker has no GPU; start workers where there is one, or set {DEVICE}=cpu")
    store = Store(root)

    def make(checkpoint: Checkpoint):
        return task.step.make(task, Work(store, task.device, checkpoint))

    return store.fetch(task.kind, task.key, task.spec, make)


def perform_remotely(task: Task, root: str) -> tuple[bool, float]:
    """``perform`` on a worker of a cluster; returns whether the answer was just made, and its seconds.

    Bars of the work are reported through the scheduler. A worker whose ``SRDISTILL_STORE`` is set has the shared folder there.
    """
    from distributed import get_worker

    worker = get_worker()

    def report(message: dict) -> None:
        worker.log_event(progress.TOPIC, message | {"key": task.key, "task": task.label})

    with progress.reported(report):
        report({"event": "started"})
        entry = perform(task, os.environ.get("SRDISTILL_STORE") or root)
        report({"event": "finished", "fresh": entry.fresh, "seconds": entry.seconds})
    return entry.fresh, entry.seconds
