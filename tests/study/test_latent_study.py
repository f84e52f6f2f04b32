"""Latent space in a study: the generator as a cell, rows that start from rows, transfer to x4, which distils nothing."""

from dataclasses import replace

import pytest
import torch

from srdistill.images.pictures import PictureError
from srdistill.papers.dietz.latent_matching import latent_matching
from srdistill.priors.inversion import gan_inversion
from srdistill.priors.prior import PriorError
from srdistill.sets.cut import cut
from srdistill.study.generators import STYLEGAN_CODE, TRUSTED_PICKLE
from srdistill.study.profiles import PROFILES
from srdistill.study.study import ORIGINAL
from srdistill.weights import WeightsMissing


def latent_rows(study):
    teacher, _, _ = study.trained(study.row(ORIGINAL), "SRCNN", seed=0)
    inverted = study.row("Inverted", gan_inversion, **study.inverting("published"))
    return inverted, study.row("Latent", latent_matching, **study.latent(inverted, teacher))


def test_generator_is_trained_once_and_kept(smoke_study, monkeypatch):
    first = smoke_study("dietz_t4").generator
    other = smoke_study("dietz_t5")

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(other.store, "_put", never)
    second = other.generator
    assert second is not first and second.name == first.name
    assert all(torch.equal(weight, second.state_dict()[name]) for name, weight in first.state_dict().items())


def test_latent_row_starts_from_the_inversion_of_its_seed(smoke_study):
    study = smoke_study("dietz_t4", seeds=2)
    inverted, latent = latent_rows(study)
    for seed in (0, 1):
        start, made = study.make_set(inverted, seed), study.make_set(latent, seed)
        assert torch.equal(made.snapshots[0], start.images[:8])
        assert made.images.shape == (7, 3, 48, 48)
    assert not torch.equal(study.make_set(inverted, 0).images, study.make_set(inverted, 1).images)
    assert len(study.distilled) == 4


def test_nothing_is_distilled_again_for_x4(smoke_study):
    first = smoke_study("dietz_t4")
    first.run([first.row(ORIGINAL), *latent_rows(first)], ["SRCNN"])
    assert len(first.distilled) == 2
    second = smoke_study("dietz_t5")
    results = second.run([second.row(ORIGINAL), *latent_rows(second)], ["EDSR"], scale=4)
    assert second.distilled == [] and results.failures == [] and results.computed == 3
    assert set(results.scores.network) == {"bicubic", "EDSR"}


def test_students_at_x4_are_other_cells_than_at_x2(smoke_study):
    study = smoke_study()
    rows = [study.row(ORIGINAL)]
    assert study.run(rows, ["EDSR"]).computed == study.run(rows, ["EDSR"], scale=4).computed == 1


def test_a_student_without_a_recipe_at_that_scale_is_named(smoke_study):
    study = smoke_study()
    results = study.run([study.row(ORIGINAL)], ["VDSR"], scale=4)
    assert "no recipe for VDSR x4; there are: SRCNN x2, VDSR x2, EDSR x2, EDSR x4" in results.failures[0]


def test_cut_keeps_windows_of_the_set(smoke_study):
    study = smoke_study("dietz_t4")
    inverted, _ = latent_rows(study)
    row = study.row("Cut", cut, source=inverted)
    small, whole = study.make_set(row, 0), study.make_set(inverted, 0)
    assert small.images.shape == (7, 3, 32, 32) and torch.equal(small.labels, whole.labels)
    for window, image in zip(small.images, whole.images, strict=True):
        assert any(torch.equal(window, image[:, y : y + 32, x : x + 32]) for y in range(17) for x in range(17))
    assert small.settings["source"] == "gan_inversion" and small.settings["source prior"] == study.generator.name
    with pytest.raises(PictureError, match="48 x 48 px is smaller than the synthetic images of 64 px"):
        study.make_set(study.row("Cut", cut, source=inverted, size=64), 0)


def test_super_resolved_pictures_of_every_row(smoke_study):
    study = smoke_study()
    truth = study.tests["photos"].images[0]
    outputs = study.super_resolved([study.row(ORIGINAL)], "EDSR", truth, scale=4)
    assert list(outputs) == ["Bicubic", ORIGINAL]
    assert all(image.shape == truth.shape and image.dtype == torch.uint8 for image in outputs.values())
    assert not torch.equal(*outputs.values())


def with_prior(study, prior, **settings):
    study.profile = replace(study.profile, prior=prior, prior_settings=settings)
    return study


@pytest.mark.parametrize("prior", ["taesd", "taef2"])
def test_missing_weights_without_network_are_named_and_nothing_is_lost(smoke_study, monkeypatch, prior):
    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("pooch.retrieve", unreachable)
    study = smoke_study("dietz_t4")
    trained = study.run([study.row(ORIGINAL)], ["SRCNN"])
    with pytest.raises(WeightsMissing, match="could not download .*no route to host.*; fetch it elsewhere and put it at"):
        _ = with_prior(study, prior).generator
    assert trained.computed == 1 and study.run([study.row(ORIGINAL)], ["SRCNN"]).computed == 0


def test_stylegan_needs_its_hash_as_a_sign_of_trust(smoke_study, monkeypatch):
    study = with_prior(smoke_study("dietz_t4"), "stylegan_xl", layer=None)
    monkeypatch.delenv(TRUSTED_PICKLE, raising=False)
    with pytest.raises(PriorError, match=f"runs any code .* set {TRUSTED_PICKLE} to its SHA-256, and {STYLEGAN_CODE}"):
        _ = study.generator


def test_stylegan_of_another_hash_is_not_opened(smoke_study, monkeypatch, tmp_path):
    (tmp_path / "stylegan_xl").mkdir()
    (tmp_path / "stylegan_xl" / "imagenet512.pkl").write_bytes(b"not opened")
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv(TRUSTED_PICKLE, "0" * 64)
    with pytest.raises(PriorError, match=f"instead of {'0' * 64}"):
        _ = with_prior(smoke_study("dietz_t4"), "stylegan_xl", layer=None).generator


def test_unknown_generator_names_the_known_ones(smoke_study):
    with pytest.raises(ValueError, match="'biggan'; there are: autoencoder, sd_vae, taesd, taef2, stylegan_xl"):
        _ = with_prior(smoke_study("dietz_t4"), "biggan").generator


def test_taef2_is_loaded_from_local_weights(smoke_study, monkeypatch, shared_weights):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(shared_weights))
    study = with_prior(smoke_study("dietz_t4"), "taef2")
    made = study.make_set(study.row("Inverted", gan_inversion, **study.inverting("highpass", iterations=1)), 0)
    assert made.settings["prior"] == "TAEF2" and min(made.settings["psnr"]) > 15


def test_another_generator_is_another_set(smoke_study):
    study = smoke_study("dietz_t4")
    first = study.set_entry(study.row("Inverted", gan_inversion, **study.inverting("highpass")), 0).key
    study.profile = replace(study.profile, prior_settings=study.profile.prior_settings | {"iterations": 11})
    del study._generator
    assert study.set_entry(study.row("Inverted", gan_inversion, **study.inverting("highpass")), 0).key != first


def test_perceptual_distance_of_the_profile_goes_to_the_published_loss_only(smoke_study, monkeypatch, shared_weights):
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(shared_weights))
    study = smoke_study("dietz_t4")
    study.profile = replace(study.profile, inversion={"iterations": 1, "perceptual": "alex"})
    assert callable(study.inverting("published")["perceptual"])
    assert "perceptual" not in study.inverting("highpass")


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_latent_images_fit_pictures_and_x4_crops_fit_images(profile):
    smallest = profile.train_side or profile.train_min_side or 512
    assert profile.size <= profile.latent_size and (profile.name == "paper" or profile.latent_size <= smallest)
    assert all(recipe.patch <= profile.size and recipe.patch % 4 == 0 for recipe in profile.recipes_x4.values())
