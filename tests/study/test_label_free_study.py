"""The labelfree paper's tables in a study: its own plan, patches, diffusion model and students."""

from dataclasses import fields, replace

import pytest
import torch
from srdistill.study.costs import STAGES, cost_figure, costs

from srdistill.images.collections import CATALOGUE, UNIONS
from srdistill.images.pictures import to_float
from srdistill.networks import build_network
from srdistill.papers.labelfree.dit_samples import dit_samples
from srdistill.papers.labelfree.gsdd import gsdd
from srdistill.papers.labelfree.plan import LABEL_FREE, STUDENTS
from srdistill.sets.distilled_set import SelectionError
from srdistill.sets.random_patches import random_patches
from srdistill.study.profiles import PROFILES
from srdistill.study.study import ORIGINAL
from srdistill.study.tables import long_table, notes, wide_table
from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.weights import WeightsMissing

TABLE = "labelfree_t3"
STUDENT = "Real-ESRGAN"
every_plan = pytest.mark.parametrize(("name", "plan"), LABEL_FREE.items(), ids=LABEL_FREE)


def test_every_profile_has_a_plan():
    assert list(LABEL_FREE) == list(PROFILES)


def test_table_decides_whose_plan_is_used(smoke_study):
    for table, students in STUDENTS.items():
        assert tuple(smoke_study(table).plan.networks) == students
    study = smoke_study("dietz_t1")
    assert study.plan is study.profile


@every_plan
def test_plans_fit_together(name, plan):
    assert all("about" in item.metadata for item in fields(plan))
    known = {"photos", *CATALOGUE, *UNIONS}
    assert plan.train in known
    assert all(test.collection in known or "/" in test.collection for test in plan.tests)
    assert plan.size <= (plan.train_side or plan.train_min_side) and plan.size % 4 == 0
    for student, sizes in plan.networks.items():
        recipe, sizes = plan.recipe(student, 4), dict(sizes)
        assert isinstance(recipe, AdversarialRecipe) == (student in STUDENTS["labelfree_t1"])
        assert recipe.patch <= plan.size and recipe.patch % 4 == 0
        with torch.device("meta"):
            build_network(sizes.pop("architecture", student), 4, 0, **sizes)
    for counts in (plan.counts, plan.control_counts, plan.selection_counts):
        assert counts and all(count % 7 == 0 for count in counts)
    assert set(plan.control_counts) <= set(plan.counts)
    with pytest.raises(ValueError, match=f"no recipe for {STUDENT} x2; there are: {STUDENT} x4"):
        plan.of_table(TABLE).recipe(STUDENT, 2)


def test_only_the_paper_departs_in_nothing():
    assert all(LABEL_FREE["paper"].of_table(table).deviations(table) == [] for table in STUDENTS)
    lines = LABEL_FREE["laptop"].of_table(TABLE).deviations(TABLE)
    assert "training pictures: photos (paper: ost)" in lines and "images in a set: 35 (paper: 140, 280, 420)" in lines


def test_patches_are_the_same_for_every_study_and_lie_below_the_limit(smoke_study):
    first, second = smoke_study(TABLE).patches, smoke_study(TABLE).patches
    assert torch.equal(first.images(), second.images()) and torch.equal(first.label, second.label)
    assert first.size == 32 and first.classes == 7 and float(first.score.max()) < first.settings["limit"]


def sets(study, count=7):
    rows = [study.row(f"Samples, {count}", dit_samples, **study.sampled(count, fine_tuned=False)),
            study.row(f"Distilled, {count}", dit_samples, **study.sampled(count, fine_tuned=True))]  # fmt: skip
    return rows, [study.make_set(row, 0) for row in rows]


def test_diffusion_model_is_trained_once_and_its_samples_start_from_the_same_noise(smoke_study, monkeypatch):
    study = smoke_study(TABLE)
    _, (plain, tuned) = sets(study)
    assert plain.images.shape == tuned.images.shape == (7, 3, 32, 32)
    assert tuned.settings["model"] == f"{plain.settings['model']}, fine-tuned"
    difference = (to_float(plain.images) - to_float(tuned.images)).abs().mean()
    assert 0 < difference < 0.1
    assert {"noise", "representative", "diverse", "detail"} <= set(study.fine_tuned(0)[1])

    def never(*_, **__):
        raise AssertionError("computed again")

    again = smoke_study(TABLE)
    monkeypatch.setattr(again.store, "_put", never)
    assert [made.digest for made in sets(again)[1]] == [plain.digest, tuned.digest]


def test_other_seeds_are_other_sets_of_the_same_model(smoke_study):
    study = smoke_study(TABLE, seeds=2)
    rows, _ = sets(study)
    assert study.make_set(rows[0], 0).digest != study.make_set(rows[0], 1).digest
    assert len(list((study.store.root / "diffusion").glob("*.json"))) == 1


def test_patches_of_another_size_are_refused(smoke_study):
    study = smoke_study(TABLE)
    network = build_network("RRDBNet", 4, 0, width=8, depth=1, growth=4)
    with pytest.raises(ValueError, match="patches of 32 px for a set of 48 px; select patches of 48 px"):
        study.make_set(study.row("x", gsdd, size=48, **study.gsdd(7, network)), 0)


def test_adversarial_student_is_trained_scored_and_found_again(smoke_study):
    study = smoke_study(TABLE)
    rows = [study.row(ORIGINAL), study.row("Random patches, 7", random_patches, count=7)]
    results = study.run(rows, [STUDENT], scale=4)
    assert results.failures == [] and results.computed == 2
    assert set(results.scores.network) == {"bicubic", STUDENT}
    assert study.run(rows, [STUDENT], scale=4).computed == 0
    _, losses, _ = study.trained(rows[1], STUDENT, seed=0, scale=4)
    assert {"L1 loss", "GAN loss"} <= set(losses)
    lines = notes(study, results, long_table(study, results))
    assert any("training recipes: Real-ESRGAN 1 + 2 x 2 crops" in line for line in lines)


def test_another_gan_weight_is_another_cell(smoke_study):
    study = smoke_study(TABLE)
    rows = [study.row("Random patches, 7", random_patches, count=7)]
    study.run(rows, [STUDENT], scale=4)
    recipe = replace(study.plan.recipes_x4[STUDENT], gan_weight=0.5)
    study.label_free = replace(study.label_free, recipes_x4={STUDENT: recipe})
    assert study.run(rows, [STUDENT], scale=4).computed == 1


def test_threshold_that_selects_nothing_is_named(smoke_study):
    study = smoke_study(TABLE)
    study.label_free = replace(study.label_free, selection={"threshold": 1.0, "stride": 16})
    with pytest.raises(SelectionError, match="none of .* windows of 32 px scores below 1 dB"):
        _ = study.patches


def test_published_model_that_is_not_at_hand_is_named(smoke_study, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    study = smoke_study(TABLE)
    study.label_free = replace(study.label_free, pretraining={})
    with pytest.raises(WeightsMissing, match="facebook/DiT-XL-2-256"):
        _ = study.diffusion


def test_gsdd_matches_in_the_features_of_a_trained_student(smoke_study):
    study = smoke_study("labelfree_t1")
    full = study.row(ORIGINAL)
    network = study.trained(full, STUDENT, 0, scale=4)[0]
    made = study.make_set(study.row("GSDD, 7", gsdd, **study.gsdd(7, network)), 0)
    assert made.images.shape == (7, 3, 32, 32) and made.labels.tolist() == list(range(7))
    assert made.settings["iterations"] == study.plan.gsdd["iterations"]


@pytest.mark.parametrize("student", STUDENTS["labelfree_t2"])
def test_every_student_of_the_second_table_is_trained_and_scored(smoke_study, student):
    study = smoke_study("labelfree_t2")
    rows = [study.row("Random patches, 7", random_patches, count=7)]
    results = study.run(rows, [student], scale=4)
    assert results.failures == [] and {"psnr", "psnr_y"} <= set(results.scores)
    wide = wide_table(long_table(study, results), study.table)
    assert {"PSNR", "PSNR-Y", "SSIM", "SSIM-Y"} == {column[1] for column in wide.columns if column[2] == "here"}


def test_costs_are_those_that_the_store_keeps(smoke_study):
    study = smoke_study("labelfree_t1")
    rows = {"full": study.row(ORIGINAL), "ours": study.row("x", dit_samples, **study.sampled(7, fine_tuned=True))}
    seconds = costs(study, rows, {"ours": 5.0}, STUDENT, 4)
    assert list(seconds.columns) == list(STAGES)
    assert seconds.loc["full", "fine-tuning"] == seconds.loc["full", "making the set"] == 0
    assert seconds.loc["ours", "pre-training"] == 5.0 and (seconds.loc["ours"] > 0).all()
    assert seconds.loc["ours", "fine-tuning"] == pytest.approx(study.fine_tuned(0)[2])
    assert set(study.pretraining_seconds) == {"generator", "diffusion"} and min(study.pretraining_seconds.values()) > 0
    axis = cost_figure(seconds).axes[0]
    assert axis.get_xlabel() == "seconds" and len(axis.patches) == 2 * len(STAGES)
    assert cost_figure(seconds * 1e5).axes[0].get_xlabel() == "hours"
