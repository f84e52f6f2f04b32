"""The coreset paper's rows: what differs from data set to data set, what is stored, and which teachers are believed."""

from dataclasses import replace

import pytest
import torch

from srdistill.papers import coreset
from srdistill.papers.coreset.coreset_rows import soft_label_bytes
from srdistill.papers.coreset.expanding.coreset_patches import coreset_patches
from srdistill.study.classification import ALL_PICTURES
from srdistill.study.engine import tasks
from srdistill.study.engine.tasks import Resource
from srdistill.study.rows import Row

TWO = (1, 10, 50)


def opened(table, profile="smoke"):
    return coreset.PAPER.open(table, profile=profile)


def recipe(study, label, dataset, network):
    return study.recipe(study.rows()[label], dataset, network)


def test_students_are_trained_in_batches_as_rdeds():
    """LINs-lab/RDED, argument.py."""
    first, second = opened("coreset_t1", "paper"), opened("coreset_t2", "paper")
    rows = first.rows() | second.rows()

    def batches(study, dataset, network="ResNet-18"):
        return [study.recipe(rows[f"RDED, IPC {ipc}"], dataset, network).batch for ipc in TWO]

    assert batches(first, "imagenette") == batches(first, "imagewoof") == batches(second, "cifar10") == [10, 50, 100]
    assert batches(first, "tiny-imagenet") == [100, 100, 100]
    assert batches(first, "imagenet") == batches(second, "cifar100") == [20, 100, 200]
    assert batches(second, "cifar100", "ConvNet") == [25, 25, 25]
    rates = [
        study.recipe(rows["RDED, IPC 1"], *where).lr
        for study, *where in (
            (second, "cifar100", "ConvNet"),
            (second, "cifar100", "ResNet-18"),
            (second, "cifar10", "ConvNet"),
        )
    ]
    assert rates == [2e-3, 1e-3, 1e-3]
    assert batches(second, "cifar100", "ConvNet") == [
        second.recipe(rows[f"{coreset.OURS}, IPC {ipc}"], "cifar100", "ConvNet").batch for ipc in TWO
    ]


@pytest.mark.parametrize(("table", "factors"), [
    ("coreset_t1", {"tiny-imagenet": 1, "imagewoof": 2, "imagenette": 2, "imagenet": 2}),
    ("coreset_t2", {"cifar10": 1, "cifar100": 1}),
])  # fmt: skip
def test_rded_has_its_own_factor_on_each_data_set(monkeypatch, table, factors):
    monkeypatch.setattr(Resource, "digest", "pictures that are not at hand")
    study = opened(table, "paper")
    for label in ("RDED, IPC 10", "RDED, as many pictures, IPC 10"):
        row = study.rows()[label]
        for dataset, factor in factors.items():
            made = study.set_task(row, 0, dataset, "ResNet-18")
            assert made.settings["patches"].settings["factor"] == factor
            views = study.source(row, 0, dataset, "ResNet-18").settings["views"]
            assert (views.collage, views.crop_scale) == (factor, (1 / factor, 1.0))
            trained = study.recipe(row, dataset, "ResNet-18")
            assert not (trained.shuffle or trained.cutmix or trained.flip) and trained.batch == views.batch
    ours = study.set_task(study.rows()[f"{coreset.OURS}, IPC 10"], 0, next(iter(factors)))
    assert ours.settings["factor"] == 2
    epochs = [study.recipe(study.rows()[label]).epochs for label in ("RDED, IPC 10", "RDED, as many pictures, IPC 10")]
    assert epochs == [300, 1200]


def test_small_pictures_have_rdeds_factor_for_small_pictures():
    for profile, plan in coreset.PAPER.plans.items():
        for table, found in plan.tasks.items():
            for data in found:
                assert data.rded_factor == (1 if data.size <= 64 else 2), (profile, table, data.name)


def test_gates_lie_below_rdeds_teachers():
    """Their accuracies as RDED's README has them, the lower one of two architectures."""
    theirs = {"imagenette": 90.0, "imagewoof": 75.0, "tiny-imagenet": 62.0, "imagenet": 69.8, "cifar10": 82.2, "cifar100": 61.3}
    for found in coreset.PAPER.plans["paper"].tasks.values():
        for data in found:
            assert 5 <= theirs[data.name] - data.gate <= 15


def test_a_missed_gate_fails_the_rows_of_its_data_set_only():
    study = opened("coreset_t1")
    (photos,) = study.plan.tasks["coreset_t1"]
    hard = replace(photos, name="hard", size=16, gate=99.0)
    study.plan = replace(study.plan, tasks={"coreset_t1": (hard, photos)})
    rows = study.rows()
    results = study.run([Row(ALL_PICTURES), rows[f"{coreset.RDED}, IPC 1"], rows[f"{coreset.RANDOM}, IPC 1"]])
    missed = results.scores[results.scores.testset == "hard"]
    assert list(missed.row) == [ALL_PICTURES]  # trained on all pictures, without a teacher
    assert len(results.scores[results.scores.testset == "photos"]) == 3
    assert len(results.failures) == 1 and "99 % are needed" in results.failures[0]


def test_the_class_alone_costs_no_patch():
    study = opened("coreset_t4")
    rows = study.rows()
    text, patches = (rows[coreset.PRINTED_PARTS[part]] for part in ("text", "superres"))
    sizes = study.sizes(text)
    assert (sizes.images, sizes.pixels, sizes.lossless_bytes) == (0, 0, 0)
    assert sizes.total_bytes < study.sizes(patches).total_bytes
    assert soft_label_bytes(study, text) == soft_label_bytes(study, patches) == 2 * 44 * 11 * 2
    epoch, logits = study.open(study.source(text, 0))(0)
    assert epoch.shape == (44, 3, 32, 32) and logits.shape == (44, 11)


class Loaded:
    """Something with pictures and a digest."""

    def __init__(self, name, count):
        self.digest, self.images = name, torch.zeros(count, dtype=torch.uint8)


calls = []


def load(name: str, count: int) -> Loaded:
    calls.append(name)
    return Loaded(name, count)


def test_pictures_that_do_not_fit_beside_new_ones_are_dropped(monkeypatch):
    monkeypatch.setattr(tasks, "_kept", {})
    monkeypatch.setattr(tasks, "KEPT_BYTES", 250)
    calls.clear()
    first, second, third = (Resource(load, {"name": name, "count": 200}, hashed=True) for name in ("one", "two", "three"))
    small = Resource(load, {"name": "small", "count": 10}, hashed=True)
    for found in (first, small, first, second, small, second):
        found.load()
    assert calls == ["one", "small", "two"]  # what was used last stays
    third.load()
    assert sum(len(one.images) for one in tasks._kept.values()) <= 250 + 200
    assert first.load().digest == "one" and calls == ["one", "small", "two", "three", "one"]


def test_data_sets_come_one_after_the_other(monkeypatch):
    monkeypatch.setattr(Resource, "digest", "pictures that are not at hand")
    study = opened("coreset_t2", "paper")
    cells = study.cells(list(study.rows().values())[:2])
    order = [cell.dataset for cell in cells]
    assert order == sorted(order, key=list(study.datasets).index) and len({cell.seed for cell in cells}) == 3


def test_selection_has_one_factor_for_all_data_sets():
    study = opened("coreset_t3")
    rows = study.rows()
    for factor in study.plan.factors:
        theirs = study.set_task(rows[f"RDED, r = {factor}"], 0).settings["patches"]
        ours = study.set_task(rows[f"r = {factor}"], 0)
        assert theirs.function is coreset_patches and theirs.key == ours.key


@pytest.mark.parametrize(("table", "label", "ours"), [
    ("coreset_t1", "RDED{}, IPC 1", "Ours, IPC 1"),
    ("coreset_t3", "RDED{}, r = 3", "r = 3"),
    ("coreset_t4", "RDED{}", "Superres+Aug (rho=0.8)"),
])  # fmt: skip
def test_one_row_of_rded_sees_as_many_pictures_as_ours(table, label, ours):
    study = opened(table)
    rows = study.rows()
    seen = [study.recipe(rows[one]).epochs * len(study.make_set(rows[one], 0))
            for one in (label.format(""), label.format(", as many pictures"), ours)]  # fmt: skip
    assert seen[1] == seen[2] > seen[0]
