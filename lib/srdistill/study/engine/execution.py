"""The walk through the graph of tasks: with a cluster, or one after the other in this process."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from srdistill import progress
from srdistill.files import DiskError
from srdistill.study.engine.cluster import ClusterError
from srdistill.study.engine.store import Store
from srdistill.study.engine.tasks import Task, graph
from srdistill.study.engine.work import perform, perform_remotely

if TYPE_CHECKING:
    from distributed import Client, Future

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
# Begins the reason of a task that something else failed for.
NOT_RUN = "not run"
# Seconds without a word from the scheduler after which it is given up.
_LOST_AFTER = 20.0


@dataclass
class _Node:
    """A task on its way. ``fresh``: it was computed here and now. ``reason``: why it failed."""

    task: Task
    state: str = WAITING
    fresh: bool = False
    reason: str = ""
    future: "Future | None" = None


class Execution:
    """Tasks on their way to the store, and what became of them.

    ``client``: of a Dask cluster; None: this process performs them, when they are waited for. A task that fails fails what
    needs it; the others go on. ``start`` may be called again and again.
    """

    def __init__(self, store: Store, client: "Client | None" = None):
        self.store, self.client = store, client
        self._nodes: dict[str, _Node] = {}
        self._changed = threading.Condition(threading.RLock())
        self._fatal: Exception | None = None

    def start(self, tasks: Sequence[Task]) -> None:
        """Take the tasks on, with all that they need and the store has not; on a cluster they begin at once.

        A task that failed before gets another try.
        """
        with self._changed:
            for task in graph(tasks, self._finished):
                node = self._nodes.get(task.key)
                if node is None or node.state == FAILED:
                    self._nodes[task.key] = _Node(task)
            if self.client is not None:
                self._submit()

    def wait(self, tasks: Sequence[Task], label: str = "") -> None:
        """Until each of the tasks is done or has failed, under one bar called ``label``.

        Raises:
            DiskError: there is no room, so all the others would fail as well. ClusterError: the scheduler is gone. What is
            finished is kept.
        """
        self.start(tasks)
        wanted = [task.key for task in graph(tasks, self._finished)]
        if not wanted:
            return
        with tqdm(total=len(wanted), desc=label or "tasks", leave=False, disable=progress.listening()) as bar:
            if self.client is None:
                self._perform_here(wanted, bar)
            else:
                self._await(wanted, bar)

    def forget(self, task: Task) -> None:
        """The store has lost what was done: it is made again when it is asked for."""
        with self._changed:
            if task.key in self._nodes and self._nodes[task.key].state == DONE:
                del self._nodes[task.key]

    def failure(self, task: Task) -> str:
        """Why the task failed, in words; empty if it did not."""
        node = self._nodes.get(task.key)
        return node.reason if node and node.state == FAILED else ""

    def fresh(self, tasks: Sequence[Task]) -> int:
        """How many of the tasks were computed by this execution."""
        nodes = {task.key: self._nodes.get(task.key) for task in tasks}
        return sum(bool(node and node.fresh) for node in nodes.values())

    def _finished(self, task: Task) -> bool:
        node = self._nodes.get(task.key)
        if node is not None and node.state != FAILED:
            return node.state == DONE
        if self.store.get(task.kind, task.key) is None:
            return False
        self._nodes[task.key] = _Node(task, DONE)
        return True

    def _blocked_by(self, node: _Node) -> list[_Node]:
        """Nodes that it still needs; a need that failed fails it."""
        needs = [self._nodes[need.key] for need in node.task.needs if need.key in self._nodes]
        failed = next((need for need in needs if need.state == FAILED), None)
        if failed is not None:
            node.state = FAILED
            known = failed.reason.startswith(NOT_RUN)
            node.reason = failed.reason if known else f"{NOT_RUN}: it needs {_words(failed)}, which failed"
        return [need for need in needs if need.state != DONE]

    # --- in this process ------------------------------------------------------------------------------------------

    def _perform_here(self, wanted: list[str], bar: tqdm) -> None:
        for key in wanted:
            node = self._nodes[key]
            if node.state == WAITING and not self._blocked_by(node):
                bar.set_postfix_str(node.task.label, refresh=True)
                try:
                    node.fresh = perform(node.task, self.store.root).fresh
                    node.state = DONE
                except DiskError:
                    raise  # the next one would be lost as well
                except Exception as error:
                    node.state, node.reason = FAILED, f"{_words(node)}: {type(error).__name__}: {error}"
            bar.update()

    # --- on a cluster ---------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Hand over what is ready. What must run alone is handed over when nothing else is left to do."""
        if self._fatal is not None:
            return
        nodes = list(self._nodes.values())
        ready = [node for node in nodes if node.state == WAITING and not self._blocked_by(node)]
        together = [node for node in ready if not node.task.alone]
        if any(node.state == RUNNING and node.task.alone for node in nodes):
            return
        if not together and ready and not any(node.state == RUNNING for node in nodes) and not self._others_run():
            together = ready[:1]
        for node in together:
            node.state = RUNNING
            node.future = self.client.submit(
                perform_remotely, node.task, str(self.store.root), key=f"{node.task.kind}-{node.task.key}", pure=False,
                priority=-node.task.seed,
            )  # fmt: skip
            node.future.add_done_callback(lambda future, node=node: self._arrived(node, future))
        self._changed.notify_all()

    def _others_run(self) -> bool:
        """Whether the cluster is busy with tasks of another notebook."""
        return any(self.client.processing().values())

    def _arrived(self, node: _Node, future: "Future") -> None:
        with self._changed:
            if node.state != RUNNING or node.future is not future:
                return
            if future.status == "finished":
                self._settle(node, future)
            elif future.status == "error":
                error = future.exception()
                if isinstance(error, DiskError):
                    self._fatal = error
                node.state, node.reason = FAILED, f"{_words(node)}: {_said(error)}"
            elif self.client.status == "running":
                node.state, node.reason = FAILED, f"{_words(node)}: the cluster gave it up ({future.status})"
            else:  # the scheduler is gone, which is no fault of the task
                return
            node.future = None
            self._submit()

    def _settle(self, node: _Node, future: "Future") -> None:
        node.fresh = bool(future.result()[0])
        if self.store.has(node.task.kind, node.task.key):
            node.state = DONE
        else:
            node.state = FAILED
            node.reason = (
                f"{_words(node)}: the worker did not leave it in {self.store.root}; let SRDISTILL_STORE name one shared folder "
                "on all machines"
            )

    def _await(self, wanted: list[str], bar: tqdm) -> None:
        heard = time.monotonic()
        while True:
            with self._changed:
                if self._fatal is not None:
                    raise self._fatal
                done = sum(self._nodes[key].state in (DONE, FAILED) for key in wanted)
                running = [node.task.label for node in self._nodes.values() if node.state == RUNNING]
                if done < len(wanted):
                    self._submit()  # what waited for others to end
                    self._changed.wait(timeout=1.0)
            bar.update(done - bar.n)
            bar.set_postfix_str(", ".join(running[:2]))
            if done == len(wanted):
                return
            if self.client.status == "running":
                heard = time.monotonic()
            elif self.client.status == "closed" or time.monotonic() - heard > _LOST_AFTER:
                raise ClusterError("the scheduler is gone; finished tasks are kept, the same command goes on from there")


def execute(tasks: Sequence[Task], store: Store, client: "Client | None" = None, label: str = "") -> Execution:
    """Perform the tasks and all that they need; see ``Execution``."""
    execution = Execution(store, client)
    execution.wait(tasks, label)
    return execution


def _words(node: _Node) -> str:
    return node.task.label or f"{node.task.kind} {node.task.key[:8]}"


def _said(error: BaseException) -> str:
    if type(error).__name__ == "KilledWorker":
        return "its worker was killed three times while at it, perhaps for lack of memory"
    return f"{type(error).__name__}: {error}"
