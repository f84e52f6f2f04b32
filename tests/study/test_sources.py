"""What sets are made of and what full data is, where a plan takes some of the pictures or all of them at several scales."""

from dataclasses import replace

import pytest
from PIL import Image

from srdistill.catalogue.photos import photos
from srdistill.papers import dietz
from srdistill.papers.dietz.steps import distance_task
from srdistill.papers.dietz.tables import MULTI_SCALE, SCALES
from srdistill.sets.random_crops import random_crops


@pytest.fixture
def some(smoke_study):
    """Sets of three of the seven pictures."""
    study = smoke_study()
    study.plan = replace(study.plan, source_pictures=3)
    return study


def test_sets_are_made_of_some_of_the_pictures_and_full_data_is_all_of_them(some):
    assert len(some.train) == 7 and len(some.sources().load()) == 3
    names = some.train.names
    assert some.sources().load().names == (names[0], names[7 // 3], names[14 // 3])
    made = some.make_set(some.row("crops", random_crops, ipc=2), 0)
    assert len(made) == 6 and made.names == some.sources().load().names
    assert some.student(some.row("all"), "EDSR", 0).settings["images"].digest == some.train.digest


def test_distances_are_to_what_the_set_was_made_of(some):
    row, asked = some.rows()["Syn. IPC=1"], some.sources().digest
    assert distance_task(some, row).settings["real"].digest == asked == some.set_task(row, 0).settings["real"].digest


def test_without_a_number_sets_are_made_of_all_pictures(smoke_study):
    study = smoke_study()
    assert study.sources().digest == study.real().digest


def test_ones_own_pictures_are_all_used(smoke_study, tmp_path, some):
    for name, image in list(photos("train"))[:2]:
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{name}.png")
    study = smoke_study(data=str(tmp_path))
    study.plan = some.plan
    assert study.sources().digest == study.real().digest


def test_pictures_too_small_to_be_matched_are_left_out_of_sets_alone(smoke_study):
    study = smoke_study()
    matching = replace(study.plan.matching, crop=study.plan.train_side + 1)
    study.plan = replace(study.plan, source_pictures=3, matching=matching)
    assert len(study.real().load()) == 7
    with pytest.raises(ValueError, match="none of the 7 pictures"):
        study.sources().load()


@pytest.mark.parametrize("table", ["dietz_t1", "dietz_t5"])
def test_full_data_at_several_scales_is_a_row_without_a_set(smoke_study, table):
    study = smoke_study(table)
    row = study.rows()[MULTI_SCALE]
    assert row.method is None
    images = study.student(row, "EDSR", 0).settings["images"].load()
    patch = study.plan.recipe("EDSR", study.table.scale).patch
    assert images.names[:7] == study.train.names and set(study.train.names) < set(images.names)
    assert {name.rpartition(" ")[2] for name in images.names[7:]} == {f"{scale:g}" for scale in SCALES}
    assert min(min(image.shape[1:]) for image in images.images) >= patch
    assert study.student(row, "EDSR", 0).key != study.student(study.row("all"), "EDSR", 0).key


def test_desktop_matches_a_hundred_of_the_291(shared_data, monkeypatch):
    monkeypatch.setenv("SRDISTILL_DATA", str(shared_data))
    study = dietz.PAPER.open("dietz_t1", profile="desktop")
    found = study.sources().load()
    assert len(study.train) == 291 and len(found) == 100
    assert min(min(image.shape[1:]) for image in found.images) >= study.plan.crop
    assert {name.partition("/")[0] for name in found.names} == {"t91", "bsds200"}
