"""Rehearsals of the large profiles: their own code, cut short, with what is at hand and stand-ins for the rest."""

from dataclasses import dataclass, fields, replace

import pytest
import torch

from srdistill.catalogue.labelled_collections import CLASS_COUNTS
from srdistill.papers import coreset, dietz, labelfree
from srdistill.rehearsing import rehearsing
from srdistill.study.engine.tasks import Resource, Task, graph
from srdistill.study.engine.work import device_kind, perform
from srdistill.study.options import label_of as label_of_run
from srdistill.study.pages.presentation import Presentation
from srdistill.study.paper import papers
from srdistill.study.profiles import PROFILES, get_profile
from srdistill.study.rehearsal import LIMITS, SIDE, TEST, TRAIN, handful, handful_of_classes, label_of, rehearsed, shortened
from srdistill.study.settings import TestSet
from srdistill.training.classification_recipe import ClassificationRecipe
from srdistill.training.recipe import Recipe

LARGE = ("gpu", "paper")
EVERY_TABLE = [(paper, table.name, profile) for profile in LARGE for paper in papers() for table in paper.tables]


@pytest.fixture(autouse=True)
def rehearsal(tmp_path, monkeypatch):
    for name, folder in (("STORE", "store"), ("STAGING", "tables")):
        monkeypatch.setenv(f"SRDISTILL_{name}", str(tmp_path / folder))
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("PROFILE", "DATA", "WEIGHTS", "SCHEDULER", "WORKERS", "DEVICE"):
        monkeypatch.delenv(f"SRDISTILL_{name}", raising=False)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setenv("SRDISTILL_REHEARSE", "1")


# --- what is cut short --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    recipes: dict
    transformer: dict
    tests: tuple
    gate: object = 60.0
    name: str = "a plan"

    def rehearsed(self):
        return replace(self, name="its own last word")


def test_steps_and_batches_are_cut_whatever_they_lie_in_and_sizes_of_networks_are_not():
    plan = Plan({"EDSR": Recipe(300_000, 16, 192, compile=True)}, {"patch": 128, "depth": 28, "batch": 9}, (TestSet("a", "a"),))
    short = shortened(plan)
    assert short.recipes["EDSR"] == Recipe(2, 2, 64)
    assert short.transformer == plan.transformer and short.gate == 0 and short.tests == (TestSet("a", "a", SIDE),)
    assert shortened(replace(plan, gate={"cifar10": 60.0})).gate == {"cifar10": 0}
    assert shortened(ClassificationRecipe(300, batch=100)) == ClassificationRecipe(2, batch=32)
    assert shortened(Recipe(1, 1, 24)) == Recipe(1, 1, 24), "what is small stays"


def test_profile_and_plan_are_as_they_are_unless_this_is_a_rehearsal(monkeypatch):
    plan = Plan({}, {}, ())
    profile, short = rehearsed(get_profile("gpu"), plan)
    assert (profile.name, profile.seeds, short.name, short.gate) == ("gpu", 1, "its own last word", 0)
    assert "rehearsal" in profile.where
    monkeypatch.setenv("SRDISTILL_REHEARSE", "0")
    assert rehearsed(get_profile("gpu"), plan) == (get_profile("gpu"), plan)


@pytest.mark.parametrize("profile", LARGE)
@pytest.mark.parametrize("paper", papers(), ids=lambda paper: paper.name)
def test_nothing_in_a_plan_takes_more_steps_than_a_rehearsal_has_time_for(paper, profile):
    def check(value, name=""):
        if name in ("iterations", "epochs", "iterations_ipc10", "warm_up", "tuning_iterations"):
            assert value <= LIMITS[name], name
        for f in fields(value) if hasattr(value, "__dataclass_fields__") else ():
            check(getattr(value, f.name), f.name)
        for entry in value.values() if isinstance(value, dict) else ():
            check(entry)

    full = paper.plans[profile]
    _, short = rehearsed(PROFILES[profile], full)
    check(short)
    assert short.networks == full.networks


def test_results_of_a_rehearsal_lie_apart(monkeypatch):
    assert label_of("gpu") == label_of_run("gpu", {"data": ""}) == "rehearsal-gpu"
    assert label_of("gpu", "/my/garden") == "rehearsal-own-garden"
    monkeypatch.setenv("SRDISTILL_REHEARSE", "0")
    assert label_of("gpu") == "gpu" and label_of("gpu", "/my/garden") == "own-garden"


def test_tasks_of_a_rehearsal_are_others_and_a_worker_knows_them(monkeypatch, tmp_path):
    def declared():
        study = dietz.PAPER.open("dietz_t1", profile="smoke")
        return study.scoring(None)

    inside = declared()
    assert inside.spec["rehearsal"] is True and device_kind() == "cpu"
    inside_key = inside.key
    monkeypatch.setenv("SRDISTILL_REHEARSE", "0")
    outside = declared()
    assert "rehearsal" not in outside.spec and outside.key != inside_key
    perform(inside, tmp_path / "store")
    assert rehearsing(), "a worker does what the task was declared for"


# --- a handful of pictures ----------------------------------------------------------------------------------------------


def test_a_few_pictures_at_hand_are_taken_and_else_photographs(monkeypatch, tmp_path, pictures):
    from PIL import Image

    assert handful("div2k", "train", 0, 480).names == ("astronaut", "hubble_deep_field", "ihc")
    (tmp_path / "div2k").mkdir()
    for index in range(5):
        Image.fromarray(pictures.images[0].permute(1, 2, 0).numpy()).save(tmp_path / "div2k" / f"{index}.png")
    monkeypatch.setenv("SRDISTILL_DATA", str(tmp_path))
    assert handful("div2k", "train", 0, 90).names == tuple("012"[:TRAIN])
    assert len(handful("div2k", "test", 48, 0)) == TEST
    assert handful("div2k", "train", 0, 480).names[0] == "astronaut", "those at hand are too small"
    assert {side for image in handful("ost", "train", 0, 128).images for side in image.shape[1:]} == {256}


@pytest.mark.parametrize("name", CLASS_COUNTS)
def test_every_class_has_its_pieces_of_photographs(name):
    found = handful_of_classes(name, "train", 16, 2)
    assert len(found.classes) == CLASS_COUNTS[name] and len(found) == 2 * CLASS_COUNTS[name] and found.size == 16
    assert found.digest == handful_of_classes(name, "train", 16, 2).digest
    assert found.digest != handful_of_classes(name, "test", 16, 2).digest


# --- the tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("paper", "table", "profile"), EVERY_TABLE, ids=lambda part: part if isinstance(part, str) else "")
def test_every_table_can_be_declared_without_data_or_weights(paper, table, profile):
    study = paper.open(table, profile=profile)
    rows = study.rows()
    tasks = graph([cell.task for cell in study.cells(list(rows.values()))])
    assert tasks and all(task.spec["rehearsal"] for task in tasks)
    assert study.label == f"rehearsal-{profile}" and study.seeds == [0]
    resources = {value.loader.__name__ for task in tasks for value in task.settings.values() if isinstance(value, Resource)}
    assert not resources & {"cut_collection", "classes"}, "whole collections are not for a rehearsal"


def run(study, labels, networks=()):
    """The rows of these labels, to the end: scores, table, files."""
    rows = {label: row for label, row in study.rows().items() if label in labels}
    assert len(rows) == len(labels)
    results = study.run(rows, networks)
    assert results.failures == []
    shown = Presentation(study, rows, results)
    shown.table(), shown.save()
    return results.scores


def test_latent_distillation_of_the_gpu_profile():
    scores = run(dietz.PAPER.open("dietz_t5", profile="gpu"), ["Syn. IPC=1 (latent)"])
    assert scores.psnr.notna().all() and set(scores.testset) == {"set5", "set14", "div2k_test16"}
    assert scores.filter(like="lpips").notna().all(axis=None), "with a random backbone, but measured"


def test_diffusion_of_the_gpu_profile():
    study = labelfree.PAPER.open("labelfree_t3", profile="gpu")
    small = {"Real-ESRGAN": {"architecture": "RRDBNet", "depth": 1}}
    study = _with(study, networks=small, transformer=study.plan.transformer | {"depth": 2})
    scores = run(study, [f"{labelfree.DISTILLED}, 7"])
    assert scores.psnr.notna().all()


def test_expansion_of_the_gpu_profile():
    study = coreset.PAPER.open("coreset_t2", profile="gpu")
    small = {"engine": study.plan.engine | {"working_size": 64}, "transformer": study.plan.transformer | {"depth": 2}}
    study = _with(study, **small)
    label = next(label for label in study.rows() if label.startswith(coreset.OURS))
    scores = run(study, [label], ["ConvNet"])
    assert scores.accuracy.between(0, 100).all() and len(study.dataset.train.classes) == 10


def test_expansion_by_turbo_of_the_paper_profile():
    study = coreset.PAPER.open("coreset_t2", profile="paper")
    row = next(row for label, row in study.rows().items() if label.startswith(coreset.OURS))
    engine = study.open(coreset.engine(study, "cifar10"))
    task = study.student(row, "ConvNet", 0, "cifar10")
    assert isinstance(task, Task) and len(engine.names) == 10
    study.execution.wait([task])
    assert study.execution.failure(task) == ""


def _with(study, **changes):
    study.plan = replace(study.plan, **changes)
    return study
