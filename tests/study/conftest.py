"""Every test of the study layer has its own store and its own folder for tables, no workers, and no LPIPS weights."""

import shutil

import pytest

from srdistill.study.engine import keys, tasks
from srdistill.study.paper import Paper, papers
from srdistill.study.study import Study

_UNSET = (
    "SRDISTILL_PROFILE", "SRDISTILL_DATA", "SRDISTILL_WEIGHTS", "SRDISTILL_SCHEDULER", "SRDISTILL_WORKERS", "SRDISTILL_DEVICE",
)  # fmt: skip


def _places(patch: pytest.MonkeyPatch, folder) -> None:
    patch.setenv("SRDISTILL_STORE", str(folder / "store"))
    patch.setenv("SRDISTILL_STAGING", str(folder / "tables"))
    patch.setenv("TORCH_HOME", str(folder / "torch"))
    for name in _UNSET:
        patch.delenv(name, raising=False)


def paper_of(table: str) -> Paper:
    """The paper that a table is of."""
    return next(paper for paper in papers() if table in [known.name for known in paper.tables])


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    _places(monkeypatch, tmp_path)
    # What another test loaded from places that this one does not have.
    monkeypatch.setattr(tasks, "_kept", {})


@pytest.fixture
def smoke_study():
    """``smoke_study(table, seeds=..., data=...)``: a study in the smoke profile, of table 1 of Dietz et al. by default."""

    def make(table="dietz_t1", **parameters) -> Study:
        return paper_of(table).open(table, profile="smoke", **parameters)

    return make


@pytest.fixture(scope="session")
def finished_store(tmp_path_factory):
    """``finished_store(table)``: a folder in which all of the table is stored, made when it is first asked for."""
    folder, done = tmp_path_factory.mktemp("finished"), set()

    def store(table: str):
        if table not in done:
            with pytest.MonkeyPatch.context() as patch:
                _places(patch, folder)
                study = paper_of(table).open(table, profile="smoke")
                rows = study.rows()
                assert study.run(rows).failures == []
                done.add(table)
        return folder / "store"

    return store


@pytest.fixture
def finished(finished_store, smoke_study, tmp_path):
    """``finished(table)``: the study and its rows, everything of which lies in a store of the test's own already."""

    def make(table: str) -> tuple[Study, dict]:
        shutil.copytree(finished_store(table), tmp_path / "store", dirs_exist_ok=True)
        study = smoke_study(table)
        return study, study.rows()

    return make


@pytest.fixture
def changed_code(monkeypatch):
    """``changed_code(module)``: from now on that module of the library has other code, as far as keys can see."""
    true = keys._essence

    def change(*modules: str) -> None:
        keys._closure_digest.cache_clear()
        monkeypatch.setattr(keys, "_essence", lambda name: true(name) + ("changed" if name in modules else ""))

    yield change
    keys._closure_digest.cache_clear()


@pytest.fixture
def saved_table(smoke_study):
    """A table with two sets for each of two seeds, saved as a notebook does it; the study and its rows."""
    from srdistill.sets.noise import noise
    from srdistill.sets.random_crops import random_crops
    from srdistill.study.pages.save import save_table
    from srdistill.study.pages.tables import long_table
    from srdistill.study.rows import ORIGINAL

    study = smoke_study(seeds=2)
    rows = [study.row(ORIGINAL), study.row("Noise, IPC=1", noise, ipc=1), study.row("Real (crops)", random_crops, ipc=2)]
    results = study.run(rows, ["SRCNN"])
    save_table(study, results, long_table(study, results))
    return study, rows
