import dataclasses

import pytest

from srdistill.images.collections import CATALOGUE, UNIONS
from srdistill.images.perceptual import BACKBONES
from srdistill.networks import build_network
from srdistill.study.profiles import PAPER, PROFILES, get_profile

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def test_there_are_four_profiles_under_their_own_names():
    assert list(PROFILES) == ["smoke", "laptop", "gpu", "paper"]
    assert all(profile.name == name for name, profile in PROFILES.items())


@every_profile
def test_profiles_cannot_be_changed(profile):
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.seeds = 100


def test_unknown_profile_names_the_known_ones():
    with pytest.raises(ValueError, match="'huge'.*smoke, laptop, gpu, paper"):
        get_profile("huge")


def test_unknown_profile_in_the_environment_is_refused_too(monkeypatch):
    monkeypatch.setenv("SRDISTILL_PROFILE", "huge")
    with pytest.raises(ValueError, match="huge"):
        get_profile()


def test_laptop_is_the_default():
    assert get_profile("").name == "laptop"


def test_environment_names_the_profile_when_nothing_else_does(monkeypatch):
    monkeypatch.setenv("SRDISTILL_PROFILE", "smoke")
    assert get_profile("").name == "smoke"


def test_explicit_profile_beats_the_environment(monkeypatch):
    monkeypatch.setenv("SRDISTILL_PROFILE", "smoke")
    assert get_profile("gpu").name == "gpu"


def test_the_paper_deviates_in_nothing():
    assert PAPER.deviations() == PAPER.deviations("dietz_t4") == []


def test_deviations_of_a_table_leave_out_what_it_has_no_part_in():
    laptop = PROFILES["laptop"]
    starts = {"generator:": ("dietz_t4", "dietz_t5"), "training recipes at x4:": ("dietz_t5",)}
    for start, tables in starts.items():
        for table in ("dietz_t1", "dietz_t4", "dietz_t5"):
            assert any(line.startswith(start) for line in laptop.deviations(table)) == (table in tables)
        assert any(line.startswith(start) for line in laptop.deviations())


@pytest.mark.parametrize("name", ["smoke", "laptop", "gpu"])
def test_deviations_name_pictures_and_recipes_of_both_sides(name):
    lines = get_profile(name).deviations("dietz_t1")
    pictures = next(line for line in lines if line.startswith("training pictures:"))
    assert PROFILES[name].train in pictures
    assert "(paper: div2k)" in pictures
    recipes = next(line for line in lines if line.startswith("training recipes:"))
    assert str(PROFILES[name].recipes["EDSR"].iterations) in recipes
    assert "300000" in recipes


def test_a_field_that_equals_the_paper_is_not_listed():
    assert not any(line.startswith("seeds:") for line in PROFILES["laptop"].deviations("dietz_t1"))
    changed = dataclasses.replace(PAPER, name="own", seeds=7)
    assert changed.deviations("dietz_t1") == ["seeds: 7 (paper: 3)"]


@every_profile
def test_crops_fit_into_synthetic_images_and_those_into_sub_images(profile):
    for recipe in profile.recipes.values():
        assert recipe.patch <= profile.size <= profile.crop
        assert recipe.patch % 4 == 0
    assert 1 <= profile.step <= profile.crop


@every_profile
def test_sub_images_fit_into_training_pictures(profile):
    assert profile.train_side == 0 or profile.train_side >= profile.crop
    if profile.train not in ("photos",):
        assert profile.train_min_side >= profile.crop


@every_profile
@pytest.mark.parametrize("scale", [2, 4])
def test_every_student_has_a_recipe_and_can_be_built(profile, scale):
    assert set(profile.networks) == set(profile.recipes)
    for name, sizes in profile.networks.items():
        build_network(name, scale, 0, **sizes)
    build_network(scale=scale, seed=0, **profile.matching_network)


@every_profile
def test_named_collections_and_backbones_exist(profile):
    known = {"photos", *CATALOGUE, *UNIONS}
    assert profile.train in known
    # A path such as div2k_crops512/test16 is a folder under SRDISTILL_DATA.
    assert all(test.collection in known or "/" in test.collection for test in profile.tests)
    assert profile.lpips in BACKBONES


@every_profile
def test_verdicts_have_seeds_to_rest_on(profile):
    assert profile.seeds >= (1 if profile.name == "smoke" else 3)
