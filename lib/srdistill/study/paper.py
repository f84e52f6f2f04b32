"""What the study knows of a paper: its tables, its plan in every profile, its printed rows. A wing has one ``PAPER``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import pandas as pd

from srdistill.study.pages.published import published

if TYPE_CHECKING:
    from srdistill.study.rows import Row
    from srdistill.study.study import Study


@dataclass(frozen=True)
class Table:
    """A printed table that a notebook reproduces.

    ``rows``: what is run for it. ``networks``: its students, empty for all of the plan. ``shown``: metrics that its wide form
    shows, empty for the usual ones. ``timed``: seconds are part of it, so students of the first seed are trained one at a time.
    """

    name: str
    title: str
    notebook: str
    rows: Callable[["Study"], "Sequence[Row]"]
    networks: tuple[str, ...] = ()
    scale: int = 2
    shown: tuple[str, ...] = ()
    timed: bool = False


def _as_printed(table: str) -> pd.DataFrame:
    return published(table)


@dataclass(frozen=True)
class Paper:
    """``kind``: the class of its studies. ``plans``: by profile. ``printed``: table name to its printed numbers with the rows,
    networks and test sets called as the study calls them. ``printed_on``: the test sets, one of which every table has, whose
    printed numbers decide about a sentence. ``parts``: what rows refer to by ``FromCell``, as functions of study and cell."""

    name: str
    title: str
    kind: "type[Study]"
    plans: Mapping[str, object]
    tables: tuple[Table, ...]
    printed_on: tuple[str, ...]
    printed: Callable[[str], pd.DataFrame] = _as_printed
    parts: Mapping[str, Callable] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """The table of that name. Raises ValueError, naming what there is."""
        found = next((table for table in self.tables if table.name == name), None)
        if found is None:
            known = ", ".join(table.name for table in self.tables)
            raise ValueError(f"unknown table {name!r} of {self.title}; there are: {known}")
        return found

    def open(self, table: str, profile: str = "", seeds: int = 0, data: str = "") -> "Study":
        """The study of one table. ``profile``, ``seeds``, ``data``: a notebook's parameters; 0 and "" mean the profile's
        own."""
        return self.kind(self, self.table(table), profile, seeds, data)


def tables() -> dict[str, tuple[Paper, Table]]:
    """All tables by name, each with its paper."""
    return {table.name: (paper, table) for paper in papers() for table in paper.tables}


def papers() -> list[Paper]:
    """The papers of all wings, found by looking into the package of wings: a new one needs no mention anywhere else."""
    package = import_module("srdistill.papers")
    wings = [import_module(f"srdistill.papers.{found.name}") for found in iter_modules(package.__path__)]
    return sorted((wing.PAPER for wing in wings), key=lambda paper: min(table.notebook for table in paper.tables))
