"""The labelfree paper's tables in a study: patches, diffusion model, samples and students as tasks."""

from dataclasses import replace

import pytest
import torch

from srdistill.images.pictures import to_float
from srdistill.papers import labelfree
from srdistill.papers.labelfree import PAPER, diffusion, dit_samples, fine_tuned, gsdd, patches, sampled
from srdistill.papers.labelfree.tables import inverted
from srdistill.sets.random_patches import random_patches
from srdistill.study.engine.tasks import Resource
from srdistill.study.pages.tables import long_table, notes, wide_table
from srdistill.study.rows import ORIGINAL

TABLE = "labelfree_t3"
STUDENT = "Real-ESRGAN"


def test_table_decides_about_students(smoke_study):
    for table in PAPER.tables:
        assert tuple(smoke_study(table.name).plan.networks) == table.networks


def test_patches_are_the_same_for_every_study_and_lie_below_the_limit(smoke_study, monkeypatch):
    one, two = smoke_study(TABLE), smoke_study("labelfree_t1")
    first = one.open(patches(one))
    monkeypatch.setattr("srdistill.study.engine.execution.perform", lambda *_: pytest.fail("selected again"))
    second = two.open(patches(two))
    assert torch.equal(first.images(), second.images()) and torch.equal(first.label, second.label)
    assert first.size == 32 and first.classes == 7 and float(first.score.max()) < first.settings["limit"]


def sets(study, count=7):
    rows = [study.row(f"Samples, {count}", dit_samples, **sampled(study, count, tuned=False)),
            study.row(f"Distilled, {count}", dit_samples, **sampled(study, count, tuned=True))]  # fmt: skip
    return rows, [study.make_set(row, 0) for row in rows]


def test_diffusion_model_is_trained_once_and_its_samples_start_from_the_same_noise(smoke_study, monkeypatch):
    # So large a rate shows in two steps, after rounding to 8 bits, on every kind of CPU.
    plan = PAPER.plans["smoke"]
    faster = replace(plan.fine_tuning, recipe=replace(plan.fine_tuning.recipe, lr=3.0))
    monkeypatch.setitem(PAPER.plans, "smoke", replace(plan, fine_tuning=faster))
    study = smoke_study(TABLE)
    _, (plain, tuned) = sets(study)
    assert plain.images.shape == tuned.images.shape == (7, 3, 32, 32)
    assert tuned.settings["model"] == f"{plain.settings['model']}, fine-tuned"
    difference = (to_float(plain.images) - to_float(tuned.images)).abs().mean()
    assert 0 < difference < 0.1
    assert {"noise", "representative", "diverse", "detail"} <= set(study.entry(fine_tuned(study, 0)).value["history"])
    assert len(list((study.store.root / "diffusion").glob("*.json"))) == 2

    again = smoke_study(TABLE)
    monkeypatch.setattr("srdistill.study.engine.execution.perform", lambda *_: pytest.fail("computed again"))
    assert [made.digest for made in sets(again)[1]] == [plain.digest, tuned.digest]


def test_other_seeds_are_other_sets_of_the_same_model_and_of_other_fine_tunings(smoke_study):
    study = smoke_study(TABLE, seeds=2)
    untuned, tuned = (study.rows()[label] for label in (f"{labelfree.UNTUNED}, 7", "Distilled, 7"))
    assert study.make_set(untuned, 0).digest != study.make_set(untuned, 1).digest
    assert len(list((study.store.root / "diffusion").glob("*.json"))) == 1
    models = [study.set_task(tuned, seed).settings["model"].key for seed in (0, 1)]
    assert models == [fine_tuned(study, seed).key for seed in (0, 1)] and models[0] != models[1]


def test_patches_of_another_size_are_refused(smoke_study):
    study = smoke_study(TABLE)
    with pytest.raises(RuntimeError, match="patches of 32 px for a set of 48 px; select patches of 48 px"):
        study.make_set(study.row("x", gsdd, size=48, **inverted(study, 7)), 0)


def test_adversarial_student_is_trained_scored_and_found_again(smoke_study):
    study = smoke_study(TABLE)
    rows = [study.row(ORIGINAL), study.row("Random patches, 7", random_patches, count=7)]
    results = study.run(rows)
    assert results.failures == [] and (results.computed, results.scale, results.networks) == (2, 4, [STUDENT])
    assert set(results.scores.network) == {"bicubic", STUDENT}
    assert study.run(rows).computed == 0
    _, losses, _ = study.trained(rows[1], STUDENT, seed=0)
    assert {"L1 loss", "GAN loss"} <= set(losses)
    lines = notes(study, results, long_table(study, results))
    assert any("training recipes: Real-ESRGAN 1 + 2 x 2 crops" in line for line in lines)


def test_another_gan_weight_is_another_cell(smoke_study):
    study = smoke_study(TABLE)
    rows = [study.row("Random patches, 7", random_patches, count=7)]
    study.run(rows, [STUDENT])
    recipe = replace(study.plan.recipes_x4[STUDENT], gan_weight=0.5)
    study.plan = replace(study.plan, recipes_x4={STUDENT: recipe})
    assert study.run(rows, [STUDENT]).computed == 1


def brightness(images):
    """Features of one's own."""
    values = images.float()
    return torch.stack([values.mean((1, 2, 3)), values.std((1, 2, 3)), values[:, 0].mean((1, 2))], 1)


def test_features_of_ones_own_select_other_patches(smoke_study):
    study = smoke_study(TABLE)
    first = patches(study)
    study.plan = replace(study.plan, selection=replace(study.plan.selection, features=brightness))
    assert patches(study).key != first.key
    assert f"{__name__}.brightness" in patches(study).spec["code"]
    assert study.open(patches(study)).classes == 7


def test_threshold_that_selects_nothing_is_named(smoke_study):
    study = smoke_study(TABLE)
    study.plan = replace(study.plan, selection=replace(study.plan.selection, threshold=1.0, quantile=None))
    results = study.run([study.row("x", dit_samples, **sampled(study, 7, tuned=True)), study.row(ORIGINAL)])
    (failure,) = results.failures
    assert failure.startswith("patches and pseudo-labels: SelectionError: none of")
    assert "windows of 32 px scores below 1" in failure
    lost = failure.partition("not run therefore: ")[2].split("; ")
    assert lost == ["the diffusion model", "fine-tuning, seed 0", "x, seed 0", f"{STUDENT} on x, seed 0",
                    f"scores of {STUDENT} on x, seed 0"]  # fmt: skip
    assert set(results.scores.row) == {"Bicubic", ORIGINAL}


def test_published_model_that_is_not_at_hand_is_named(smoke_study, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    study = smoke_study(TABLE)
    study.plan = replace(study.plan, pretraining=None, size=256)
    assert isinstance(diffusion(study), Resource)  # naming it loads nothing
    with pytest.raises(RuntimeError, match="WeightsMissing: .*facebook/DiT-XL-2-256"):
        study.make_set(study.row("x", dit_samples, **sampled(study, 7, tuned=False)))


def test_gsdd_matches_in_the_features_of_a_student_trained_on_everything(smoke_study):
    study = smoke_study("labelfree_t1")
    row = study.rows()["GSDD, 7"]
    assert row.settings["network"].key == study.student(study.row(ORIGINAL), STUDENT, 0).key
    made = study.make_set(row, 0)
    assert made.images.shape == (7, 3, 32, 32) and made.labels.tolist() == list(range(7))
    assert made.settings["iterations"] == study.plan.gsdd.iterations


def test_every_student_of_the_second_table_is_trained_and_scored(finished):
    study, rows = finished("labelfree_t2")
    results = study.run(rows)
    assert results.failures == [] and {"psnr", "psnr_y"} <= set(results.scores)
    assert results.networks == ["EDSR", "RCAN", "SRFormer", "HiT-SR"]
    wide = wide_table(long_table(study, results), study.table.shown)
    assert {"PSNR", "PSNR-Y", "SSIM", "SSIM-Y"} == {column[1] for column in wide.columns if column[2] == "here"}
    assert (wide.xs("Distilled, 7")[("photographs", "PSNR", "here")].str.contains(r"\d")).all()
