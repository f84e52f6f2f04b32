"""What a table does without where something optional is not at hand."""

from dataclasses import replace

import pytest

from srdistill.papers import dietz
from srdistill.study.profiles import PROFILES
from srdistill.study.settings import TestSet as Tests


@pytest.fixture
def data(monkeypatch, tmp_path):
    for name in ("STORE", "STAGING", "DATA"):
        monkeypatch.setenv(f"SRDISTILL_{name}", str(tmp_path / name))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SRDISTILL_REHEARSE", raising=False)
    return tmp_path / "DATA"


def test_an_optional_test_set_that_nobody_has_is_left_out(data, monkeypatch):
    plan = dietz.PAPER.plans["laptop"]
    tests = (*plan.tests, Tests("div2k_test16", "div2k_test16", optional=True))
    monkeypatch.setitem(dietz.PAPER.plans, "laptop", replace(plan, tests=tests))
    study = dietz.PAPER.open("dietz_t1", profile="laptop")
    assert list(study.test_sets) == ["photos"] and [test.name for test in study.left_out] == ["div2k_test16"]
    (data / "div2k_crops512" / "test16").mkdir(parents=True)
    study = dietz.PAPER.open("dietz_t1", profile="laptop")
    assert list(study.test_sets) == ["photos", "div2k_test16"] and study.left_out == []


def test_only_what_nobody_offers_is_optional():
    from srdistill.catalogue.collections import CATALOGUE
    from srdistill.study.paper import papers

    for paper in papers():
        for name in PROFILES:
            for test in getattr(paper.plans[name], "tests", ()):
                assert not test.optional or CATALOGUE[test.collection] is None


def test_laptop_has_no_lpips_whatever_lies_around(data, monkeypatch, tmp_path):
    weights = tmp_path / "weights" / "lpips_backbones" / "alexnet_features.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    monkeypatch.setenv("SRDISTILL_WEIGHTS", str(tmp_path / "weights"))
    study = dietz.PAPER.open("dietz_t1", profile="laptop")
    assert study.lpips is None and study.lpips_declared is None
    assert "not measured in profile laptop" in study.lpips_note and str(tmp_path) not in study.lpips_note
    assert PROFILES["gpu"].lpips_measured and PROFILES["gpu"].lpips_download


def test_stylegan_xl_says_all_that_it_needs(data, monkeypatch):
    from srdistill.study.generators import stylegan_xl

    monkeypatch.delenv("SRDISTILL_STYLEGAN_XL_CODE", raising=False)
    monkeypatch.delenv("SRDISTILL_STYLEGAN_XL_SHA256", raising=False)
    needs = {need.name: need for need in stylegan_xl.needs(sha256="")}
    timm = next(need for name, need in needs.items() if name.startswith("timm"))
    assert "timm==0.4.12" in timm.remedy and "CUDA toolkit" in timm.remedy
    assert sum(need.found == () for need in needs.values()) >= 3


def test_a_table_about_pictures_that_nobody_offers_has_no_rows_without_them(data):
    from srdistill.papers import beyond

    study = beyond.PAPER.open("beyond_t12", profile="desktop")
    assert study.rows() == {} and study.plan.train == "div2k_train16"
    assert beyond.PAPER.open("beyond_t1", profile="desktop").plan.train == "sr291"
    (data / "div2k_crops512" / "train16").mkdir(parents=True)
    rows = beyond.PAPER.open("beyond_t12", profile="desktop").rows()
    assert list(rows)[0] == "Baseline (original)" and len(rows) == 5
