"""Latent space in a study: the generator as a task, rows that start from rows, transfer to x4, which distils nothing."""

import re
from dataclasses import replace

import pytest
import torch

from srdistill.papers.dietz import gan_inversion, inverting, latent, latent_matching, pretrained, prior
from srdistill.priors.autoencoder import AutoencoderRecipe
from srdistill.sets.cut import cut
from srdistill.study.engine.tasks import Resource
from srdistill.study.engine.work import Work
from srdistill.study.generators import STYLEGAN_CODE, TRUSTED_PICKLE
from srdistill.study.rows import BICUBIC, ORIGINAL


def latent_rows(study):
    inverted = study.row("Inverted", gan_inversion, **inverting(study, "published"))
    return inverted, study.row("Latent", latent_matching, **latent(study, inverted, pretrained(study)))


def test_generator_is_trained_once_and_kept(smoke_study):
    first, other = smoke_study("dietz_t4"), smoke_study("dietz_t5")
    one, second = first.open(prior(first)), other.open(prior(other))
    assert second is not one and second.name == one.name
    assert all(torch.equal(weight, second.state_dict()[name]) for name, weight in one.state_dict().items())
    assert other.execution.fresh([prior(other)]) == 0


def test_latent_row_starts_from_the_inversion_of_its_seed(smoke_study):
    study = smoke_study("dietz_t4", seeds=2)
    inverted, latent = latent_rows(study)
    for seed in (0, 1):
        start, made = study.make_set(inverted, seed), study.make_set(latent, seed)
        assert torch.equal(made.snapshots[0], start.images[:8])
        assert made.images.shape == (7, 3, 48, 48)
        assert study.set_task(inverted, seed).key in [need.key for need in study.set_task(latent, seed).needs]
    assert not torch.equal(study.make_set(inverted, 0).images, study.make_set(inverted, 1).images)
    assert len(list((study.store.root / "sets").glob("*.json"))) == 4


def test_nothing_is_distilled_again_for_x4(finished, smoke_study):
    """Table 5 finds the generator, the inversion and the latent set of table 4; matching without a trained network is new."""
    first, rows = finished("dietz_t4")
    second = smoke_study("dietz_t5")
    results = second.run(second.rows())
    assert results.failures == [] and results.computed == len(second.rows()) == 10 and results.scale == 4
    assert set(results.scores.network) == {"bicubic", "EDSR"}
    sets = {row.label: second.set_task(row, 0) for row in second.rows().values() if row.method}
    fresh = {label for label, task in sets.items() if second.execution.fresh([task])}
    assert fresh <= {"Syn. IPC=1 (downscaled)"}  # of table 2
    assert second.execution.fresh([prior(second), pretrained(second)]) == 0


def test_students_at_x4_are_other_cells_than_at_x2(smoke_study):
    study = smoke_study()
    rows = [study.row(ORIGINAL)]
    assert study.run(rows, ["EDSR"]).computed == study.run(rows, ["EDSR"], scale=4).computed == 1


def test_a_student_without_a_recipe_at_that_scale_is_named(smoke_study):
    study = smoke_study()
    with pytest.raises(ValueError, match="no recipe for VDSR x4; there are: SRCNN x2, VDSR x2, EDSR x2, EDSR x4"):
        study.run([study.row(ORIGINAL)], ["VDSR"], scale=4)


def test_cut_keeps_windows_of_the_set(smoke_study):
    study = smoke_study("dietz_t4")
    inverted, _ = latent_rows(study)
    row = study.row("Cut", cut, source=inverted)
    small, whole = study.make_set(row, 0), study.make_set(inverted, 0)
    assert small.images.shape == (7, 3, 32, 32) and torch.equal(small.labels, whole.labels)
    for window, image in zip(small.images, whole.images, strict=True):
        assert any(torch.equal(window, image[:, y : y + 32, x : x + 32]) for y in range(17) for x in range(17))
    assert small.settings["source"] == "gan_inversion" and small.settings["source prior"] == study.open(prior(study)).name
    with pytest.raises(RuntimeError, match="PictureError: .*48 x 48 px is smaller than the synthetic images of 64 px"):
        study.make_set(study.row("Cut", cut, source=inverted, size=64), 0)


def test_super_resolved_pictures_of_every_row(smoke_study):
    study = smoke_study()
    truth = study.tests["photos"].images[0]
    outputs = study.super_resolved([study.row(ORIGINAL)], "EDSR", truth, scale=4)
    assert list(outputs) == [BICUBIC, ORIGINAL]
    assert all(image.shape == truth.shape and image.dtype == torch.uint8 for image in outputs.values())
    assert not torch.equal(*outputs.values())


# --- generators that are published ------------------------------------------------------------------------------------


def with_prior(study, name, **changes):
    study.plan = replace(study.plan, prior=name, **changes)
    return study


@pytest.mark.parametrize("name", ["taef2"])
def test_missing_weights_without_network_are_named_and_nothing_is_lost(smoke_study, monkeypatch, name):
    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("pooch.retrieve", unreachable)
    study = with_prior(smoke_study("dietz_t4"), name)
    results = study.run([study.row(ORIGINAL), latent_rows(study)[0]], ["SRCNN"])
    (failure,) = results.failures
    wanted = "Inverted, seed 0: WeightsMissing: .*could not download .*no route to host.*; fetch it elsewhere and put it at"
    assert re.search(wanted, failure) and failure.endswith("scores of SRCNN on Inverted, seed 0")
    assert results.computed == 1 and study.run([study.row(ORIGINAL)], ["SRCNN"]).failures == []




def test_stylegan_needs_its_hash_as_a_sign_of_trust(smoke_study, monkeypatch):
    monkeypatch.delenv(TRUSTED_PICKLE, raising=False)
    study = with_prior(smoke_study("dietz_t4"), "stylegan_xl")
    assert len(study.rows()) > 1  # declaring it opens no file
    words = f"PriorError: .*runs any code .* set {TRUSTED_PICKLE} to its SHA-256, and {STYLEGAN_CODE}"
    with pytest.raises(RuntimeError, match=words):
        study.make_set(latent_rows(study)[0])


def test_stylegan_of_another_hash_is_not_opened(smoke_study, monkeypatch, tmp_path):
    (tmp_path / "stylegan_xl").mkdir()
    (tmp_path / "stylegan_xl" / "imagenet512.pkl").write_bytes(b"not opened")
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv(TRUSTED_PICKLE, "0" * 64)
    study = with_prior(smoke_study("dietz_t4"), "stylegan_xl")
    with pytest.raises(RuntimeError, match=f"PriorError: .*instead of {'0' * 64}"):
        study.make_set(latent_rows(study)[0])


def test_the_trusted_pickle_counts_and_travels(smoke_study, monkeypatch):
    keys = []
    for digit in "01":
        monkeypatch.setenv(TRUSTED_PICKLE, digit * 64)
        study = with_prior(smoke_study("dietz_t4"), "stylegan_xl")
        keys.append(study.set_task(latent_rows(study)[0], 0).key)
        assert prior(study).settings == {"sha256": digit * 64}
    assert keys[0] != keys[1]


def test_unknown_generator_names_the_known_ones(smoke_study):
    with pytest.raises(ValueError, match="unknown generator 'biggan'; there are: autoencoder, sd_vae, taef2, stylegan_xl"):
        prior(with_prior(smoke_study("dietz_t4"), "biggan"))


def test_taef2_is_loaded_from_local_weights(smoke_study, monkeypatch, shared_weights):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(shared_weights))
    study = smoke_study("dietz_t4")
    with_prior(study, "taef2", inversion=replace(study.plan.inversion, iterations=1, tuning_iterations=0))
    made = study.make_set(study.row("Inverted", gan_inversion, **inverting(study, "highpass")), 0)
    assert made.settings["prior"] == "TAEF2" and min(made.settings["psnr"]) > 15


def test_another_generator_is_another_set(smoke_study):
    study = smoke_study("dietz_t4")
    first = study.set_task(latent_rows(study)[0], 0).key
    recipe = replace(study.plan.prior_recipe, iterations=11)
    assert isinstance(recipe, AutoencoderRecipe)
    assert study.set_task(latent_rows(with_prior(study, "autoencoder", prior_recipe=recipe))[0], 0).key != first
    published = [study.set_task(latent_rows(with_prior(study, name))[0], 0).key for name in ("sd_vae", "taef2")]
    assert len({first, *published}) == 3


def test_perceptual_distance_of_the_plan_goes_to_the_published_loss_only(smoke_study):
    study = smoke_study("dietz_t4")
    assert "perceptual" not in inverting(study, "published")
    study.plan = replace(study.plan, perceptual="alex")
    assert isinstance(inverting(study, "published")["perceptual"], Resource)
    assert "perceptual" not in inverting(study, "highpass")


def test_the_perceptual_distance_can_be_called(smoke_study, monkeypatch, shared_weights):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(shared_weights))
    study = smoke_study("dietz_t4")
    study.plan = replace(study.plan, perceptual="alex")
    distance = Work(study.store, "cpu").opened(inverting(study, "published")["perceptual"])
    image = torch.zeros(1, 3, 64, 64)
    assert float(distance(image, image).detach()) == 0
