"""Asking for what is finished loads nothing but the answer; declaring work does none of it."""

import pytest

from srdistill.papers import coreset
from srdistill.study.engine import execution, work
from srdistill.study.engine.tasks import graph
from srdistill.study.export import export_table
from srdistill.study.pages.presentation import Presentation
from srdistill.training.sr import train


@pytest.fixture
def nothing_loads(monkeypatch):
    """Once called: nothing is made, and no generator, diffusion model, teacher or pool of patches is read."""

    def arm():
        def never(*arguments, **_):
            raise AssertionError(f"made or loaded: {arguments}")

        for name in ("priors.load_autoencoder", "diffusion.load_dit", "classifiers.load_teacher"):
            monkeypatch.setattr(f"srdistill.study.steps.{name}", never)
        monkeypatch.setattr("srdistill.papers.labelfree.steps.PatchPool", never)
        for module in (work, execution):
            monkeypatch.setattr(module, "perform", never)

    return arm


@pytest.mark.parametrize("table", ["dietz_t4", "labelfree_t1", "coreset_t4"])
def test_a_finished_table_is_shown_and_exported_without_loading_a_model(table, finished, nothing_loads, tmp_path):
    study, rows = finished(table)
    study.sizes(list(rows.values())[-1])
    nothing_loads()
    for row in rows.values():
        if row.method is not None:
            assert len(study.make_set(row)) >= 1
    assert set(study.sets(rows.values())) == {row.label for row in rows.values() if row.method is not None}
    results = study.run(rows)
    assert (results.computed, results.failures) == (0, [])
    shown = Presentation(study, rows, results)
    shown.table(), shown.sizes(), shown.save()
    assert list(export_table(table, "smoke", to=tmp_path / "out").rglob("*.png"))


def test_a_lookup_costs_one_entry_per_task_and_not_what_it_was_made_of(finished, monkeypatch):
    study, rows = finished("dietz_t4")
    read = []
    true = study.store.get
    monkeypatch.setattr(study.store, "get", lambda kind, key: read.append(kind) or true(kind, key))
    study.make_set(rows["Latent Distillation"])
    assert set(read) == {"sets"} and len(read) <= 3
    read.clear()
    cells = study.cells(list(rows.values()))
    study.run(rows)
    assert set(read) == {"networks", "scores"}
    assert read.count("scores") <= 3 * len(cells)


@pytest.mark.parametrize("table", ["dietz_t3", "dietz_t4", "dietz_t5", "labelfree_t1", "labelfree_t3", "coreset_t1"])
def test_declaring_rows_does_no_work(table, smoke_study, nothing_loads):
    nothing_loads()
    study = smoke_study(table)
    rows = study.rows()
    tasks = graph([cell.task for cell in study.cells(list(rows.values()))])
    assert len(tasks) > len(rows)
    study.execution.start(tasks)
    assert not study.store.root.exists()


def test_a_row_that_starts_from_a_trained_network_names_it_and_does_not_train_it(smoke_study):
    study = smoke_study("dietz_t3")
    task = study.set_task(study.rows()["Syn. IPC=1 (pre-trained)"], 0)
    assert [need.kind for need in task.needs] == ["networks"] and task.needs[0].function is train
    assert task.needs[0].settings["scale"] == 2 and task.needs[0].seed == 0


def test_what_all_seeds_share_is_one_task(smoke_study):
    for table, kinds in (("dietz_t4", {"priors": 1}), ("labelfree_t1", {"priors": 1, "patches": 1, "diffusion": 5})):
        study = smoke_study(table, seeds=2)
        tasks = graph([cell.task for cell in study.cells(list(study.rows().values()))])
        for kind, count in kinds.items():
            assert sum(task.kind == kind for task in tasks) == count, (table, kind)


def test_tables_share_what_is_equal(smoke_study):
    def keys(table, kind):
        study = smoke_study(table)
        return {t.key for t in graph([c.task for c in study.cells(list(study.rows().values()))]) if t.kind == kind}

    assert len(keys("dietz_t1", "networks") & keys("dietz_t2", "networks")) == 9  # full data, from noise, real crops
    assert keys("dietz_t5", "sets") <= keys("dietz_t2", "sets") | keys("dietz_t3", "sets") | keys("dietz_t4", "sets")
    assert keys("dietz_t5", "priors") == keys("dietz_t4", "priors")
    assert len(keys("labelfree_t1", "sets") & keys("labelfree_t3", "sets")) == 4
    assert len(keys("coreset_t1", "classifiers") & keys("coreset_t4", "classifiers")) == 1


def test_an_engine_is_named_and_not_built(smoke_study):
    study = smoke_study("coreset_t1")
    source = study.source(study.rows()["Ours, IPC 1"], 0)
    assert source.settings["engine"].loader is coreset.expanding.engines.latent_engine
    assert {need.kind for need in study.student(study.rows()["Ours, IPC 1"], "ConvNet", 0).needs} == {
        "sets", "teachers", "diffusion", "priors",
    }  # fmt: skip
