"""Rows of a table, the cells that they are made of, and what a run of them gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from srdistill.training.classification import train_student

if TYPE_CHECKING:
    from srdistill.study.engine.tasks import Task
    from srdistill.training.classification_recipe import ClassificationRecipe
    from srdistill.training.hard_label_recipe import HardLabelRecipe

# What the papers call them, as far as they have them.
BICUBIC = "Bicubic"
ORIGINAL = "Baseline (original)"


class CellsFailed(RuntimeError):
    """Some cells of the table could not be computed; the rest is stored."""


@dataclass(frozen=True)
class FromCell:
    """A setting of a row that depends on the cell: one of the paper's ``parts``, by name, e.g. ``FromCell("teacher")``.

    ``given``: settings of the part, which is called with study, cell and these.
    """

    name: str
    given: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A way to make a training set: a method and its settings, or the pictures themselves (``method`` None).

    A setting may be a task, a resource, another row, which stands for that row's set of the same seed, or a ``FromCell``.
    ``longer``: students are trained for so many times the plan's steps. ``budget``: the share of all pixels that the set may
    have, in words, where a table compares budgets.
    """

    label: str
    method: Callable | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    longer: int = field(default=1, kw_only=True)
    budget: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class ClassRow(Row):
    """A row on classification, with how its students are trained.

    ``source``: a module-level function -> pictures and labels of every epoch (see ``training.soft_labels.Source``), called with
    ``source_settings``, and with whichever of ``made``, ``teacher``, ``real`` and ``seed`` it has parameters for. ``train``:
    what trains a student on it; ``classifier``: what else this is built with, beside the plan's settings. ``extra_bytes``:
    (study, row) to bytes that are stored beside the pictures and their labels. ``ipc``: the set has as many pixels as so many
    pictures of each class.
    """

    ipc: int = 0
    recipe: "ClassificationRecipe | HardLabelRecipe | FromCell | None" = None
    source: Callable | None = None
    source_settings: Mapping[str, object] = field(default_factory=dict)
    extra_bytes: Callable | None = None
    train: Callable = train_student
    classifier: "Mapping[str, object] | FromCell" = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One row, student and seed; of classification, on one ``dataset``. ``task`` holds what is measured, ``student`` its
    training."""

    row: Row | None
    network: str
    seed: int | None
    task: "Task"
    student: "Task | None" = None
    dataset: str = ""


@dataclass
class Results:
    """What a run gave. ``scores``: one line per row, network, seed, test set and picture. ``failures``: what did not.

    ``computed``: students trained in this run; ``seconds``: what training all of them took, in whichever run.
    """

    rows: list[Row]
    networks: list[str]
    scale: int
    scores: pd.DataFrame
    failures: list[str]
    computed: int
    seconds: float

    def __str__(self) -> str:
        lines = [f"students: {self.seconds / 60:.1f} minutes of one core in all; {self.computed} were trained in this run"]
        return "\n".join(lines + (self.failures or ["no failures"]))


def by_label(rows: Sequence[Row]) -> dict[str, Row]:
    """The rows by their labels. Raises ValueError for a label that two rows have."""
    found = {row.label: row for row in rows}
    if len(found) < len(rows):
        labels = [row.label for row in rows]
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"two rows are called {twice!r}; give each a label of its own")
    return found
