"""Profiles, and the plans of all wings: complete in every profile, fitting together, departing from the paper in words."""

import dataclasses

import pytest
import torch

from srdistill.catalogue.collections import CATALOGUE, UNIONS
from srdistill.catalogue.labelled_collections import NAMES
from srdistill.diffusion.schedule import denoising_steps
from srdistill.measures.perceptual import BACKBONES
from srdistill.networks import build_network
from srdistill.networks.classifiers import build_classifier
from srdistill.papers import coreset, dietz, labelfree
from srdistill.study.paper import papers
from srdistill.study.profiles import PROFILES, get_profile
from srdistill.study.settings import CITED, PRINTED, departures
from srdistill.training.adversarial_recipe import AdversarialRecipe

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
every_paper = pytest.mark.parametrize("paper", papers(), ids=lambda paper: paper.name)
_COLLECTIONS = {"photos", *CATALOGUE, *UNIONS}


def of_profiles(paper):
    return pytest.mark.parametrize("plan", paper.plans.values(), ids=list(paper.plans))


def test_there_are_five_profiles_under_their_own_names():
    assert list(PROFILES) == ["smoke", "laptop", "desktop", "gpu", "paper"]
    assert all(profile.name == name for name, profile in PROFILES.items())


@every_profile
def test_profiles_cannot_be_changed(profile):
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.seeds = 100


def test_unknown_profile_names_the_known_ones():
    with pytest.raises(ValueError, match="'huge'.*smoke, laptop, desktop, gpu, paper"):
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


def test_verdicts_have_seeds_to_rest_on():
    assert all(profile.seeds >= (1 if profile.name == "smoke" else 3) for profile in PROFILES.values())
    assert all(profile.lpips in BACKBONES for profile in PROFILES.values())


# --- what every wing's plan promises ----------------------------------------------------------------------------------


@every_paper
def test_every_profile_has_a_plan_and_every_field_a_meaning(paper):
    assert list(paper.plans) == list(PROFILES)
    known = {table.name for table in paper.tables}
    for plan in paper.plans.values():
        for item in dataclasses.fields(plan):
            assert item.metadata["about"]
            assert set(item.metadata.get("tables", known)) <= known
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(plan, dataclasses.fields(plan)[0].name, None)


@every_paper
def test_the_paper_names_what_nobody_printed_and_all_others_depart_in_something(paper):
    for table in paper.tables:
        if table.name != "protocol":
            own = paper.plans["paper"].of_table(table.name).deviations(table.name)
            assert all(line.endswith("our choice, the paper does not print it") for line in own), own
            for name in ("smoke", "laptop", "desktop", "gpu"):
                found = paper.plans[name].of_table(table.name).deviations(table.name)
                assert found and not set(found) & set(own)


# One compares no sets; two ask one question of many students; one has two sets for each seed; one has no rows where its
# pictures, which nobody offers, are not at hand.
_LEAST_ROWS = {"protocol": 0, "beyond_t9": 2, "beyond_t10": 2, "beyond_t11": 2, "beyond_t12": 0}


@every_paper
@pytest.mark.parametrize("name", PROFILES)
def test_every_table_can_be_declared(paper, name, monkeypatch):
    """All rows of all profiles, though neither pictures nor weights are at hand: nothing is loaded to declare them."""
    monkeypatch.setattr("srdistill.study.engine.tasks._loaded", lambda *_: pytest.fail("loaded pictures"))
    for table in paper.tables:
        study = paper.open(table.name, profile=name)
        assert len(study.rows()) >= _LEAST_ROWS.get(table.name, 3), table.name


@dataclasses.dataclass(frozen=True)
class _Part:
    rate: float = 1.0
    steps: int = 5


@dataclasses.dataclass(frozen=True)
class _Plan:
    part: _Part = dataclasses.field(default=_Part(), metadata={"about": "matching", "source": {"rate": PRINTED}})
    side: int = dataclasses.field(default=8, metadata={"about": "side", "source": CITED, "tables": ("t2",)})


def test_departures_name_only_what_differs_and_matters():
    ours, theirs = _Plan(_Part(2.0), 9), _Plan()
    cited = "side: 9 (code that the paper cites: 8)"
    assert departures(ours, theirs, "t1") == ["matching: rate 2.0 (paper: 1.0)"]
    assert departures(ours, theirs, "t2") == ["matching: rate 2.0 (paper: 1.0)", cited]
    assert departures(ours, theirs, "") == departures(ours, theirs, "t2")
    assert departures(ours, theirs, "", frozenset({"part"})) == [cited]
    longer = dataclasses.replace(theirs, part=_Part(steps=6))
    assert departures(longer, theirs, "") == ["matching: steps 6 (our choice for the paper's scale: 5)"]
    assert departures(theirs, theirs, "") == ["matching: steps 5: our choice, the paper does not print it"]


# --- Dietz et al. -----------------------------------------------------------------------------------------------------

every_dietz_plan = of_profiles(dietz.PAPER)


def test_deviations_of_a_table_leave_out_what_it_has_no_part_in():
    laptop = dietz.PLANS["laptop"]
    starts = {"generator:": ("dietz_t4", "dietz_t5"), "training recipes at x4:": ("dietz_t5",)}
    for start, tables in starts.items():
        for table in ("dietz_t1", "dietz_t4", "dietz_t5"):
            assert any(line.startswith(start) for line in laptop.deviations(table)) == (table in tables)
        assert any(line.startswith(start) for line in laptop.deviations())


@pytest.mark.parametrize("name", ["smoke", "laptop", "desktop", "gpu"])
def test_deviations_name_pictures_and_recipes_of_both_sides(name):
    plan = dietz.PLANS[name]
    lines = plan.deviations("dietz_t1")
    pictures = next(line for line in lines if line.startswith("training pictures:"))
    assert plan.train in pictures and "(paper: div2k)" in pictures
    recipes = next(line for line in lines if line.startswith("training recipes:"))
    assert str(plan.recipes["EDSR"].iterations) in recipes and "300000" in recipes


def test_a_field_that_equals_the_paper_is_not_listed():
    paper = dietz.PLANS["paper"]
    assert dataclasses.replace(paper, size=64).deviations("dietz_t1") == ["side of the synthetic images, px: 64 (paper: 192)"]
    matching = dataclasses.replace(paper.matching, crop=240)
    found = dataclasses.replace(paper, matching=matching).deviations("dietz_t1")
    assert found == ["matching: crop 240 (code that the paper cites: 480)"]


@every_dietz_plan
def test_crops_fit_into_synthetic_images_and_those_into_sub_images(plan):
    for recipe in [*plan.recipes.values(), *plan.recipes_x4.values()]:
        assert recipe.patch <= plan.size <= plan.matching.crop and recipe.patch % 4 == 0
    assert 1 <= plan.matching.step <= plan.matching.crop and plan.crop == plan.matching.crop


@every_dietz_plan
def test_sub_images_fit_into_training_pictures(plan):
    assert plan.train_side == 0 or plan.train_side >= plan.crop
    if plan.train != "photos" and not plan.source_pictures:  # else smaller ones are left out of what sets are made of
        assert plan.train_min_side >= plan.crop


@every_dietz_plan
def test_latent_images_fit_pictures(plan):
    smallest = plan.train_side or plan.train_min_side or 512
    assert plan.size <= plan.latent_size and (plan is dietz.PLANS["paper"] or plan.latent_size <= smallest)


@every_dietz_plan
@pytest.mark.parametrize("scale", [2, 4])
def test_every_student_has_a_recipe_and_can_be_built(plan, scale):
    assert set(plan.networks) == set(plan.recipes)
    for name, sizes in plan.networks.items():
        build_network(name, scale, 0, **sizes)
    build_network(scale=scale, seed=0, **plan.matching_network)


def test_a_student_without_a_recipe_at_that_scale_is_named():
    known = "SRCNN x2, VDSR x2, EDSR x2, EDSR x4"
    with pytest.raises(ValueError, match=f"no recipe for VDSR x4; there are: {known}"):
        dietz.PLANS["laptop"].recipe("VDSR", 4)


@pytest.mark.parametrize("plan", [*dietz.PLANS.values(), *labelfree.PLANS.values()])
def test_named_collections_exist(plan):
    assert plan.train in _COLLECTIONS
    # A path such as div2k_crops512/test16 is a folder under SRDISTILL_DATA.
    assert all(test.collection in _COLLECTIONS or "/" in test.collection for test in plan.tests)


# --- the labelfree paper ----------------------------------------------------------------------------------------------


@of_profiles(labelfree.PAPER)
def test_plans_of_the_labelfree_paper_fit_together(plan):
    assert plan.size <= (plan.train_side or plan.train_min_side) and plan.size % 4 == 0 and plan.crop == plan.size
    for student, sizes in plan.networks.items():
        recipe, sizes = plan.recipe(student, 4), dict(sizes)
        assert isinstance(recipe, AdversarialRecipe) == (student in ("Real-ESRGAN", "RealSR"))
        assert recipe.patch <= plan.size and recipe.patch % 4 == 0
        with torch.device("meta"):
            build_network(sizes.pop("architecture", student), 4, 0, **sizes)
    for counts in (plan.counts, plan.control_counts, plan.selection_counts):
        assert counts and all(count % 7 == 0 for count in counts)
    assert set(plan.control_counts) <= set(plan.counts)
    with pytest.raises(ValueError, match="no recipe for Real-ESRGAN x2; there are: Real-ESRGAN x4"):
        plan.of_table("labelfree_t3").recipe("Real-ESRGAN", 2)


def test_deviations_of_the_labelfree_paper_say_which_sets_and_pictures():
    lines = labelfree.PLANS["laptop"].of_table("labelfree_t3").deviations("labelfree_t3")
    assert "training pictures: photos (paper: ost)" in lines and "images in a set: 35 (paper: 140, 280, 420)" in lines
    assert sum(line.startswith("images in a set") for line in lines) == 1


def test_a_table_has_its_own_students():
    for table in labelfree.PAPER.tables:
        assert tuple(labelfree.PLANS["laptop"].of_table(table.name).networks) == table.networks


# --- the coreset paper ------------------------------------------------------------------------------------------------


@of_profiles(coreset.PAPER)
def test_plans_of_the_coreset_paper_fit_together(plan):
    for table in (table.name for table in coreset.PAPER.tables):
        of_table = plan.of_table(table)
        assert all(dataset.collection in NAMES for dataset in of_table.tasks[table])
        for network in of_table.networks[table]:
            with torch.device("meta"):
                size = of_table.tasks[table][0].size
                build_classifier(classes=("a", "b"), size=size, seed=0, **of_table.classifiers[network])
        for ipc in of_table.ipcs.get(table, (1,)):
            assert plan.student(ipc).epochs >= 1
    for expansion in coreset.ABLATION.values():
        assert denoising_steps(plan.engine["steps"], expansion.rho) >= 1
    with pytest.raises(ValueError, match="no recipe for 7 pictures per class; there are: 1"):
        plan.student(7)


def test_deviations_of_the_coreset_paper_are_those_of_the_table():
    lines = coreset.PLANS["laptop"].of_table("coreset_t1").deviations("coreset_t1")
    wanted = "data sets: coreset_t1 photos at 32 px, 100 a class to train, 50 a class to test"
    assert any(line.startswith(wanted) for line in lines)
    assert not any("values of r" in line for line in lines)
    assert any("values of r" in line for line in coreset.PLANS["laptop"].of_table("coreset_t3").deviations("coreset_t3"))
