"""The labelfree paper's tables in a study: its own plan, patches, diffusion model and students."""

from dataclasses import fields, replace

import pytest
import torch

from srdistill.distill.candidates import SelectionError
from srdistill.distill.label_free import label_free
from srdistill.distill.random_patches import random_patches
from srdistill.images.collections import CATALOGUE, UNIONS
from srdistill.images.pictures import to_float
from srdistill.networks import build_network
from srdistill.study.label_free_plan import LABEL_FREE
from srdistill.study.profiles import PROFILES
from srdistill.study.study import ORIGINAL
from srdistill.study.tables import long_table, notes
from srdistill.training.adversarial_recipe import AdversarialRecipe
from srdistill.weights import WeightsMissing

TABLE = "labelfree_t3"
STUDENT = "Real-ESRGAN"
every_plan = pytest.mark.parametrize(("name", "plan"), LABEL_FREE.items(), ids=LABEL_FREE)


def test_every_profile_has_a_plan():
    assert list(LABEL_FREE) == list(PROFILES)


def test_table_decides_whose_plan_is_used(smoke_study):
    assert smoke_study(TABLE).plan is LABEL_FREE["smoke"]
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
        assert isinstance(recipe, AdversarialRecipe) and recipe.patch <= plan.size and recipe.patch % 4 == 0
        with torch.device("meta"):
            build_network(sizes.pop("architecture"), 4, 0, **sizes)
    with pytest.raises(ValueError, match=f"no recipe for {STUDENT} x2; there are: {STUDENT} x4"):
        plan.recipe(STUDENT, 2)


def test_only_the_paper_departs_in_nothing():
    assert LABEL_FREE["paper"].deviations(TABLE) == []
    lines = LABEL_FREE["laptop"].deviations(TABLE)
    assert "training pictures: photos (paper: ost)" in lines and "images in a set: 35 (paper: 140, 280, 420)" in lines


def test_patches_are_the_same_for_every_study_and_lie_below_the_limit(smoke_study):
    first, second = smoke_study(TABLE).patches, smoke_study(TABLE).patches
    assert torch.equal(first.images(), second.images()) and torch.equal(first.label, second.label)
    assert first.size == 32 and first.classes == 7 and float(first.score.max()) < first.settings["limit"]


def sets(study, count=7):
    rows = [study.row(f"Samples, {count}", label_free, **study.sampled(count, fine_tuned=False)),
            study.row(f"Distilled, {count}", label_free, **study.sampled(count, fine_tuned=True))]  # fmt: skip
    return rows, [study.make_set(row, 0) for row in rows]


def test_diffusion_model_is_trained_once_and_its_samples_start_from_the_same_noise(smoke_study, monkeypatch):
    study = smoke_study(TABLE)
    _, (plain, tuned) = sets(study)
    assert plain.images.shape == tuned.images.shape == (7, 3, 32, 32)
    assert plain.method == "dit_samples" and tuned.method == "minimax_distilled"
    difference = (to_float(plain.images) - to_float(tuned.images)).abs().mean()
    assert 0 < difference < 0.1
    assert {"noise", "representative", "diverse", "detail"} <= set(tuned.history)

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
    with pytest.raises(ValueError, match="patches of 32 px for a set of 48 px; select patches of 48 px"):
        study.make_set(study.row("x", label_free, size=48, **study.sampled(7, fine_tuned=False)), 0)


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
