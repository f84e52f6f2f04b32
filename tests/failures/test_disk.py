"""A full disk and a damaged store: a clear error, exit status 1, and a store that stays sound."""

import os
import resource
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from tiny_repository import SAVE, STUDY

from srdistill.files import DiskError, write_text
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.noise import noise
from srdistill.study.run import main
from srdistill.study.save import save_figure
from srdistill.study.store import Store
from srdistill.study.study import ORIGINAL, Study
from srdistill.training.checkpoint import Checkpoint

SMOKE = ["--profile", "smoke"]
# A file that would grow beyond a limit is what a full disk looks like to the writer, without filling one.
FULL = """\
import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
"""


@contextmanager
def full_disk():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _distilled() -> DistilledSet:
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    return DistilledSet(images, torch.tensor([0]), ("one",), "method")


class _Output:
    def __init__(self, output: Path):
        self.output, self.table = output, "dietz_t1"


WRITERS = [
    pytest.param(lambda path: write_text(path, "x" * 1000), id="text"),
    pytest.param(lambda path: save_figure(_Output(path.parent), Figure(), "name"), id="figure"),
    pytest.param(lambda path: Store(path).fetch("things", {}, lambda: ({"x": "x" * 1000}, None)), id="store"),
    pytest.param(lambda path: _distilled().save(path), id="distilled set"),
    pytest.param(lambda path: Checkpoint(path, "work", 1).save({"x": torch.zeros(1000)}), id="checkpoint"),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path, write):
    with full_disk(), pytest.raises(DiskError, match="no room to write .*free some space and run again"):
        write(tmp_path / "folder" / "file")
    left = [path for path in (tmp_path / "folder").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def go_on() -> tuple[int, list[str]]:
    """The same study in this process, on the same store: networks computed, and warnings of damaged entries."""
    study = Study("dietz_t1", profile="smoke")
    rows = [study.row(ORIGINAL), study.row("Noise, IPC=1, undistilled", noise, ipc=1)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = study.run(rows, ["SRCNN"])
    assert results.failures == []
    return results.computed, [str(warning.message) for warning in caught if "damaged" in str(warning.message)]


def test_a_full_disk_while_cells_are_stored(repository, capsys):
    repository.write("01_one", STUDY, FULL, SAVE)
    assert main(SMOKE) == 1
    assert "FAILED 01_one: " in capsys.readouterr().out
    assert repository.made() == {"runs/01_one.failed.ipynb"}
    assert go_on() == (1, [])


def test_a_full_disk_is_named_when_a_student_is_stored(monkeypatch, tmp_path):
    # Without this, bars go to the file that pytest captures them in, and that file may not grow either.
    monkeypatch.setenv("SRDISTILL_PROGRESS_FILE", str(tmp_path / "progress"))
    study = Study("dietz_t1", profile="smoke")
    study.bicubic()
    with full_disk(), pytest.raises(DiskError, match="no room to write"):
        study.trained(study.row(ORIGINAL), "SRCNN", 0)


def test_a_full_disk_while_tables_are_moved(repository, monkeypatch, capsys):
    def full(*_):
        raise DiskError(28, "no room to write")

    repository.write_plain("01_one")
    monkeypatch.setattr("srdistill.study.run._into_place", full)
    assert main(SMOKE) == 1
    assert "no room to write" in capsys.readouterr().out


def test_a_damaged_store_is_reported_in_the_notebook_and_computed_again(repository):
    assert go_on() == (2, [])
    for path in Path(os.environ["SRDISTILL_STORE"], "networks").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-20])
    repository.write("01_one", STUDY, SAVE)
    assert main(SMOKE) == 0
    outputs = [output for cell in repository.executed("01_one").cells for output in cell.get("outputs", [])]
    warned = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert warned.count("is damaged") == 2
    assert "computing it again" in warned
    assert go_on() == (0, [])
