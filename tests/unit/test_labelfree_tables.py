"""The labelfree paper's rows and models as tasks: what the authors' code does stands beside what the paper says."""

from dataclasses import replace

import pytest

from srdistill.papers import labelfree
from srdistill.papers.labelfree import AS_PUBLISHED, DISTILLED
from srdistill.papers.labelfree.authors_code import SETTINGS
from srdistill.papers.labelfree.dit_samples import dit_samples
from srdistill.study.engine.tasks import plain
from srdistill.study.rows import FromCell


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path))
    return lambda table: labelfree.PAPER.open(table, profile="smoke")


@pytest.mark.parametrize("table", ["labelfree_t1", "labelfree_t3"])
def test_each_distilled_row_has_one_with_the_loss_of_the_authors_code(study, table):
    rows = study(table).rows()
    distilled = [label for label in rows if label.startswith(f"{DISTILLED}, ") and not label.startswith(AS_PUBLISHED)]
    assert distilled
    for label in distilled:
        ours, theirs = rows[label], rows[label.replace(DISTILLED, AS_PUBLISHED)]
        assert theirs.method is dit_samples and theirs.settings["model"] == FromCell("fine-tuned as published")
        assert theirs.settings["training"]["fine_tuning"]["detail_term"] == "published"
        for name in ("count", "prior", "sampling"):
            assert plain(ours.settings[name]) == plain(theirs.settings[name])


def test_only_the_high_frequency_term_differs(study):
    opened = study("labelfree_t1")
    ours, theirs = (labelfree.fine_tuned(opened, 0, as_published=flag) for flag in (False, True))
    assert ours.key != theirs.key and ours.settings["with_prior"] and not theirs.settings["with_prior"]
    assert ours.settings["model"].key == theirs.settings["model"].key
    assert theirs.settings["tuning"] == replace(ours.settings["tuning"], detail=1.0, detail_term="published")


def test_losses_on_fixed_draws_are_those_of_three_models(study):
    found = study("labelfree_t1")
    losses = found.open(labelfree.fixed_losses(found))
    assert list(losses) == ["not fine-tuned", "fine-tuned", "loss as in the authors' code"]
    assert all(list(one) == ["loss", "noise", "representative", "diverse", "detail"] for one in losses.values())
    assert len({one["loss"] for one in losses.values()}) == 3


@pytest.mark.parametrize("profile", labelfree.PAPER.plans)
def test_text_code_and_every_plan_stand_side_by_side(profile):
    table = labelfree.authors_code(labelfree.PAPER.plans[profile])
    assert list(table.columns) == ["text", "code", "here"] and len(table) == len(SETTINGS)
    assert (table != "").all(axis=None)


def test_the_paper_profile_follows_the_code_where_the_text_is_silent():
    plan = labelfree.PAPER.plans["paper"]
    here = labelfree.authors_code(plan).here
    assert here["patches"] == "512 px every 256 px" and here["score of a patch"] == "grey, not antialiased, the patch alone"
    assert here["transformer"] == "DiT-XL/2 for 512 px" and here["label rows"] == "the rows that stand there"
    assert here["threshold"] == "below 23 dB" and here["features"] == "clip, not normalised"
    assert labelfree.diffusion(labelfree.PAPER.open("labelfree_t1", profile="paper")).settings == {"size": 512}
