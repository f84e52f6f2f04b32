"""Every test of the study layer has its own store and its own folder for tables, and no LPIPS weights."""

import pytest

from srdistill.study.study import Study


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("SRDISTILL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SRDISTILL_STAGING", str(tmp_path / "tables"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("SRDISTILL_PROFILE", "SRDISTILL_DATA", "SRDISTILL_WEIGHTS", "SRDISTILL_PROGRESS_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def smoke_study():
    """``smoke_study(seeds=..., data=...)``: table 1 of Dietz et al. in the smoke profile."""

    def make(table="dietz_t1", **parameters) -> Study:
        return Study(table, profile="smoke", **parameters)

    return make
