"""One table's run: its rows as tasks, its cells, and what came out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING

import pandas as pd

from srdistill import progress
from srdistill.sets.distilled_set import DistilledSet, Sizes
from srdistill.study.engine.cluster import client_of_environment
from srdistill.study.engine.execution import NOT_RUN, Execution
from srdistill.study.engine.store import Entry, Store
from srdistill.study.engine.tasks import Resource, Task, graph
from srdistill.study.engine.work import Work, device_kind, settle
from srdistill.study.paths import output_root, store_root
from srdistill.study.profiles import get_profile
from srdistill.study.rehearsal import label_of, rehearsed
from srdistill.study.rows import Cell, FromCell, Results, Row, by_label
from srdistill.study.steps.sets import SET

if TYPE_CHECKING:
    from srdistill.study.paper import Paper, Table
    from srdistill.study.verdicts.gates import Headroom


@cache
def _client():
    """The process's one client, and from then on bars as messages where a runner listens."""
    client = client_of_environment()
    if client is not None:
        progress.listen(lambda message: client.log_event(progress.TOPIC, message))
    return client


class Study(ABC):
    """The pictures, the plan and the store of one table; ``SRStudy`` and ``ClassificationStudy`` say what a cell is.

    ``paper``, ``table``: see ``Paper.open``, which makes it. ``seeds``: 0 for the profile's. ``data``: one's own pictures.
    """

    # Column names of what is measured, in the order of tables; what the images of an exported set are good for.
    metrics: tuple[str, ...] = ()
    use = ""
    # The perceptual metric that the profile asks for, at hand or not.
    lpips_declared: Resource | None = None

    def __init__(self, paper: "Paper", table: "Table", profile: str = "", seeds: int = 0, data: str = ""):
        settle()
        self.paper, self.table = paper, table
        self.profile = get_profile(profile)
        if seeds < 0 or seeds != int(seeds):
            raise ValueError(f"seeds must be a whole number, 1 or more (0: the profile's own), got {seeds}")
        self.profile, plan = rehearsed(self.profile, paper.plans[self.profile.name])
        self.plan = plan.of_table(table.name)
        self.seeds = list(range(int(seeds) or self.profile.seeds))
        self.device, self.data = device_kind(), data
        self.store = Store(store_root())
        self.label = label_of(self.profile.name, data)
        self.output = output_root(self.label)
        self._counted: set[str] = set()

    @cached_property
    def execution(self) -> Execution:
        """What performs its tasks, on the cluster if there is one; a plan asks for none."""
        return Execution(self.store, _client())

    @property
    def name(self) -> str:
        """Of the table: ``dietz_t1``."""
        return self.table.name

    # --- rows and their sets ------------------------------------------------------------------------------------------

    def row(self, label: str, method=None, **settings) -> Row:
        """A row of the table. ``method`` gets the training pictures, a generator, and ``settings``."""
        return Row(label, method, settings)

    def rows(self) -> dict[str, Row]:
        """The rows of this table by label, printed ones and controls; on a cluster their work begins at once."""
        found = by_label(self.table.rows(self))
        if self.execution.client is not None:
            self.execution.start([cell.task for cell in self.cells(list(found.values()))])
        return found

    def part(self, name: str, cell: Cell, **given) -> object:
        """What a row's ``FromCell(name, given)`` stands for in a cell: a task, a resource, or a plain value.

        Raises ValueError: the paper has no such part.
        """
        if name not in self.paper.parts:
            raise ValueError(f"unknown part {name!r}; {self.paper.title} has: {', '.join(self.paper.parts)}")
        return self.paper.parts[name](self, cell, **given)

    def set_task(self, row: Row, seed: int, dataset: str = "", network: str = "") -> Task:
        """The task that makes the row's set. Raises ValueError: a row without a method, the pictures themselves."""
        if row.method is None:
            raise ValueError(f"{row.label}: the pictures themselves are not a distilled set; they are what the study trains on")
        cell = Cell(row, network, seed, None, dataset=dataset)
        settings = {"real": self.real(dataset)} | self.set_defaults(row)
        settings |= {name: self.resolved(value, cell) for name, value in row.settings.items()}
        return Task(SET, row.method, settings, seed, self.device, label=f"{row.label}{self.where(cell)}, seed {seed}")

    def resolved(self, value: object, cell: Cell) -> object:
        """A setting of a row as a task takes it."""
        if isinstance(value, Row):
            return self.set_task(value, cell.seed, cell.dataset, cell.network)
        if isinstance(value, FromCell):
            return self.part(value.name, cell, **value.given)
        return value

    def make_set(self, row: Row, seed: int = 0, dataset: str = "", network: str = "") -> DistilledSet:
        """The row's training set for this seed; waits for that set alone if it is not in the store."""
        return self.open(self.set_task(row, seed, dataset, network))

    def sets(self, rows: Iterable[Row], seed: int = 0) -> dict[str, DistilledSet]:
        """The sets of the rows that have one, by label."""
        chosen = [row for row in rows if row.method is not None]
        self.execution.start([self.set_task(row, seed) for row in chosen])
        return {row.label: self.make_set(row, seed) for row in chosen}

    # --- tasks --------------------------------------------------------------------------------------------------------

    def entry(self, task: Task) -> Entry:
        """The stored answer of a task; waits for it. Raises RuntimeError with the reason if it failed."""
        found = self.store.get(task.kind, task.key)
        if found is None:
            self.execution.forget(task)
            self.execution.wait([task], task.label)
            failure = self.execution.failure(task)
            if failure:
                raise RuntimeError(failure)
            found = self.store.get(task.kind, task.key)
        return found

    def open(self, task: Task | Resource) -> object:
        """What a task made, ready for use: a set, a network in eval mode, a prior. Waits for it, and for what a resource is
        made of."""
        needed = [task] if isinstance(task, Task) else task.needs
        self.execution.start(needed)
        for one in needed:
            self.entry(one)
        return Work(self.store, self.device).opened(task)

    # --- the run ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def cells(self, rows: Sequence[Row], networks: Sequence[str] = (), scale: int = 0) -> list[Cell]:
        """All cells of the rows, seed by seed."""

    @abstractmethod
    def lines(self, cell: Cell, answer: object, context: object) -> list[dict]:
        """A finished cell as lines of ``Results.scores``."""

    def run(self, rows: Mapping[str, Row] | Sequence[Row], networks: Sequence[str] = (), scale: int = 0) -> Results:
        """All cells of a table. A cell that fails is reported in the results and not stored; the others go on.

        ``networks``, ``scale``: the table's own by default.

        Raises DiskError, ClusterError: nothing else would be computed either; what is finished is kept.
        """
        rows = list(rows.values()) if isinstance(rows, Mapping) else list(rows)
        by_label(rows)
        cells = self.cells(rows, networks, scale)
        tasks = [cell.task for cell in cells]
        self.execution.wait(tasks, f"{self.name}: sets and students")
        done = [cell for cell in cells if not self.execution.failure(cell.task)]
        students = list({cell.student.key: cell.student for cell in done if cell.student is not None}.values())
        seconds = sum(self.entry(cell.student).seconds for cell in done if cell.student is not None)
        answers = {cell.task.key: self.entry(cell.task).value for cell in done}
        context = self.context(done, answers)
        lines = [line for cell in done for line in self.lines(cell, answers[cell.task.key], context)]
        return Results(
            rows, list(dict.fromkeys(cell.network for cell in cells if cell.row is not None)), scale or self.table.scale,
            self.frame(lines), self._failures(tasks), self._computed(students), seconds,
        )  # fmt: skip

    def _computed(self, students: Sequence[Task]) -> int:
        """How many of the students were trained since rows were declared, and not counted by an earlier ``run``."""
        new = [task for task in students if task.key not in self._counted]
        self._counted |= {task.key for task in new}
        return self.execution.fresh(new)

    def context(self, cells: Sequence[Cell], answers: Mapping[str, dict]) -> object:
        """What the lines of a cell need to know of the others."""
        return None

    def frame(self, lines: Sequence[dict]) -> pd.DataFrame:
        """The lines as a table with all columns, also if there are none."""
        keys = ["row", "network", "seed", "testset", "collapsed"]
        if not lines:
            return pd.DataFrame(columns=[*keys, *self.metrics]).astype({"collapsed": bool})
        return pd.DataFrame(lines)

    def _failures(self, tasks: Sequence[Task]) -> list[str]:
        """A line for each task that failed by itself, and what was not run because of it."""
        everything = graph(tasks, lambda task: self.store.has(task.kind, task.key))
        reasons = {task.key: self.execution.failure(task) for task in everything}
        own = [task.key for task in everything if reasons[task.key] and not reasons[task.key].startswith(NOT_RUN)]
        lines = []
        for key in own:
            lost = [o.label for o in everything if o.key != key and any(need.key == key for need in graph([o]))]
            lines.append(reasons[key] + (f"; not run therefore: {'; '.join(lost)}" if lost else ""))
        return lines

    # --- what verdicts need -------------------------------------------------------------------------------------------

    # In words: what full data is measured against, and who does nothing.
    above, doing_nothing = "", ""

    @abstractmethod
    def per_picture(self, results: Results) -> pd.DataFrame:
        """``row, network, seed, testset, image, metric, value``: what the table's means are made of."""

    @abstractmethod
    def nothing(self, pictures: pd.DataFrame, metric: str) -> float | None:
        """The mean that is had without any training: bicubic's, or chance; None where the metric has no such value."""

    @abstractmethod
    def headroom(self, pictures: pd.DataFrame, metric: str = ...) -> "dict[str, Headroom]":
        """By student: how far full data lies above that; empty where the table has no full data."""

    def called(self, network: str) -> str:
        """A student's name where several tables stand side by side."""
        return network

    # --- what is said of the run; the kinds of study fill it in -------------------------------------------------------

    @abstractmethod
    def real(self, dataset: str = "") -> Resource:
        """The training pictures."""

    def set_defaults(self, row: Row) -> dict:
        """Settings that every method gets unless the row says otherwise."""
        return {}

    def where(self, cell: Cell) -> str:
        """Data set and student in words, where a set depends on them."""
        return ""

    @abstractmethod
    def set_tasks(self, row: Row) -> list[tuple[str, int, Task]]:
        """All sets of a row: what else there is to say of each, seed, task."""

    def normalisation(self, where: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and deviation of the colours of a set's training pictures, where students are classifiers; ``where``: as
        ``set_tasks`` says it."""
        return None

    @abstractmethod
    def sizes(self, row: Row | None) -> Sizes:
        """The four sizes of the row's set of seed 0; None: of the training pictures."""

    @abstractmethod
    def about(self) -> dict[str, str]:
        """The run in a few lines, for ``describe``."""

    @abstractmethod
    def footnotes(self, results: Results) -> list[str]:
        """What has to stand under a table of this study."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where the training pictures are from."""

    @property
    @abstractmethod
    def digests(self) -> dict[str, str]:
        """Hashes of training and test pictures."""
