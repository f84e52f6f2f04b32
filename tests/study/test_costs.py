"""Seconds of a row's stages: which work counts where, and that it is timed alone."""

from dataclasses import replace

import pytest

from srdistill.papers import labelfree
from srdistill.study.engine.work import perform
from srdistill.study.pages.costs import STAGES, cost_figure, costs, stages
from srdistill.study.rows import ORIGINAL


@pytest.fixture
def study(monkeypatch, tmp_path):
    monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path))
    return labelfree.PAPER.open("labelfree_t1", profile="smoke")


def kinds(study, label):
    return [(stage, task.kind) for stage, task in stages(study, study.rows()[label], "Real-ESRGAN")]


def test_stages_of_every_way_to_a_student(study):
    student = (STAGES[3], "networks")
    assert kinds(study, ORIGINAL) == [student]
    assert kinds(study, "Random patches, 7") == [(STAGES[2], "sets"), student]
    assert kinds(study, "Distilled, 7") == [
        (STAGES[0], "priors"), (STAGES[0], "diffusion"), (STAGES[1], "diffusion"), (STAGES[2], "sets"), student,
    ]  # fmt: skip
    assert sorted(kinds(study, "GSDD, 7")) == sorted(
        [(STAGES[0], "priors"), (STAGES[0], "networks"), (STAGES[2], "sets"), student]
    )


def test_what_stands_in_for_something_ready_made_is_not_counted(study):
    """A diffusion model of other pictures than the study's takes the place of published weights."""
    study.plan = replace(study.plan, pretraining_pictures="photos")
    assert [stage for stage, _ in kinds(study, "Distilled, 7")] == [STAGES[0], STAGES[1], STAGES[2], STAGES[3]]
    assert (STAGES[0], "diffusion") not in kinds(study, "Distilled, 7")


def test_seconds_are_those_of_work_that_ran_alone(study):
    rows = study.rows()
    row = rows["Random patches, 7"]
    student = study.student(row, "Real-ESRGAN", 0)
    perform(student, study.store.root)
    found = costs(study, {"random": row}, "Real-ESRGAN")
    assert list(found.columns) == list(STAGES)
    assert found.loc["random", STAGES[3]] == study.store.get("networks", student.timed().key).seconds
    assert study.store.get("networks", student.key).key != student.timed().key
    assert found.loc["random", STAGES[0]] == 0
    assert cost_figure(found).axes[0].get_xlabel() == "seconds"
