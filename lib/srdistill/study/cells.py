"""What every notebook's run has: rows, seeds, a store of finished work, and places to write to.

A *row* of a table is a way to make a training set. A *cell* is one row, one student network and one seed. Sets, networks
and scores are stored separately, by everything that they depend on, so whatever two tables share is computed once and an
interrupted run goes on where it stopped.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet, SetError
from srdistill.study.identity import code_digest, key_of, plain
from srdistill.study.paths import output_root, store_root
from srdistill.study.profiles import Profile, get_profile
from srdistill.study.store import Entry, Store
from srdistill.training.checkpoint import Checkpoint


class CellsFailed(RuntimeError):
    """Some cells of the table could not be computed; the rest is stored."""


@dataclass(frozen=True)
class PerSeed:
    """A setting that differs from seed to seed, a model that was fine-tuned with it, say, and the ``seconds`` it took."""

    make: Callable[[int], object]
    seconds: Callable[[int], float]


@dataclass(frozen=True)
class Row:
    """A way to make a training set: a method and its settings, or the pictures themselves (``method`` None).

    A setting that is itself a row stands for that row's set of the same seed, and a ``PerSeed`` for what it makes of the seed.
    """

    label: str
    method: Callable[..., DistilledSet] | None = None
    settings: dict = field(default_factory=dict)


@dataclass
class Results:
    """What a run gave. ``scores``: one line per row, network, seed, test set and picture. ``failures``: what did not."""

    rows: list[Row]
    networks: list[str]
    scale: int
    scores: pd.DataFrame
    failures: list[str]
    computed: int
    seconds: float


class Cells:
    """The profile, the seeds and the store of one notebook; what ``Study`` and ``CoresetStudy`` share.

    ``table``: the printed table it reproduces (``dietz_t1``). ``profile``, ``seeds``, ``data``: the notebook's parameters;
    0 seeds and empty strings mean the profile's own.
    """

    def __init__(self, table: str, profile: str = "", seeds: int = 0, data: str = ""):
        self.table = table
        self.profile: Profile = get_profile(profile)
        if seeds < 0 or seeds != int(seeds):
            raise ValueError(f"seeds must be a whole number, 1 or more (0: the profile's own), got {seeds}")
        self.seeds = list(range(int(seeds) or self.profile.seeds))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Two runs are to agree bit for bit; cuDNN's search for the fastest kernel is what mostly prevents it.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        self.store = Store(store_root())
        self.label = self.profile.name if not data else f"own-{Path(data).name}"
        self.output = output_root(self.label)
        self.distilled: list[str] = []  # the sets that were not in the store

    def row(self, label: str, method: Callable[..., DistilledSet] | None = None, **settings) -> Row:
        """A row of the table. ``method`` gets the training pictures, ``size``, a generator, and ``settings``."""
        return Row(label, method, settings)

    def _fetch_set(self, row: Row, real, settings: dict, seed: int) -> Entry:
        """Where the store keeps the set that the row's method makes of ``real``; made if it is not there."""
        accepted = inspect.signature(row.method).parameters
        spec = {
            "method": getattr(row.method, "__qualname__", repr(row.method)),
            "code": code_digest(row.method),
            "settings": plain(settings),
            "pictures": real.digest,
            "seed": seed,
            "device": self.device.type,
        }

        def make():
            given = dict(settings)
            if "device" in accepted:
                given["device"] = self.device
            if "checkpoint" in accepted:
                given["checkpoint"] = self._checkpoint("sets", spec)
            made = row.method(real, generator=generator_for(seed, "set"), **given)
            if not isinstance(made, DistilledSet):
                raise TypeError(f"{row.label}: the method returned a {type(made).__name__}; it must return a DistilledSet")
            if not len(made):
                raise SetError(f"{row.label}: the method returned a set without images")
            return {"digest": made.digest}, made.save

        entry = self.store.fetch("sets", spec, make)
        if entry.fresh:
            self.distilled.append(f"{row.label}, seed {seed}")
        return entry

    def _checkpoint(self, kind: str, spec: dict) -> Checkpoint:
        path = self.store.path(kind, spec, ".checkpoint")
        return Checkpoint(path, key_of(spec), self.profile.checkpoint_every)


def named_settings(networks: dict[str, dict]) -> str:
    """Networks and their settings in words."""
    return ", ".join(
        f"{name} {', '.join(f'{key} {value}' for key, value in sizes.items()) or 'as published'}"
        for name, sizes in networks.items()
    )
