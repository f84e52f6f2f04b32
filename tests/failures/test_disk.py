"""A full disk and a damaged store: a clear error, exit status 1, and a store that stays sound."""

import json
import os
import re
import resource
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from tiny_repository import SAVE, STUDY

from srdistill.files import DiskError, write_text
from srdistill.papers import dietz
from srdistill.progress import reported
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.noise import noise
from srdistill.study.engine.execution import Execution
from srdistill.study.engine.store import Store
from srdistill.study.pages.save import saved
from srdistill.study.rows import ORIGINAL
from srdistill.study.run import main
from srdistill.training.checkpoint import Checkpoint

SMOKE = ["--profile", "smoke"]
# A file that would grow beyond a limit is what a full disk looks like to the writer, without filling one. A method in a
# notebook brings it to the worker.
FULL = """\
def filling(real, *, ipc, size, generator):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
    return noise(real, ipc=ipc, size=size, generator=generator)

rows.append(study.row("Filling", filling, ipc=1))
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
        self.output, self.name = output, "dietz_t1"


WRITERS = [
    pytest.param(lambda path: write_text(path, "x" * 1000), id="text"),
    pytest.param(lambda path: saved(_Output(path.parent), Figure(), "name"), id="figure"),
    pytest.param(lambda path: Store(path).fetch("things", "key", {}, lambda checkpoint: ({"x": "x" * 1000}, None)), id="store"),
    pytest.param(lambda path: _distilled().save(path), id="distilled set"),
    pytest.param(lambda path: Checkpoint(path, "work", 1).save({"x": torch.zeros(1000)}), id="checkpoint"),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path, write):
    with full_disk(), pytest.raises(DiskError, match="no room to write .*free some space and run again"):
        write(tmp_path / "folder" / "file")
    left = [path for path in (tmp_path / "folder").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def open_study():
    """A study whose tasks this process performs, and two of its rows."""
    study = dietz.PAPER.open("dietz_t1", profile="smoke")
    vars(study)["execution"] = Execution(study.store)
    return study, [study.row(ORIGINAL), study.row("Noise, IPC=1, undistilled", noise, ipc=1)]


def go_on() -> tuple[int, list[str]]:
    """The same study in this process, on the same store: networks computed, and warnings of damaged entries."""
    study, rows = open_study()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = study.run(rows, ["SRCNN"])
    assert results.failures == []
    return results.computed, [str(warning.message) for warning in caught if "damaged" in str(warning.message)]


def test_a_full_disk_stops_the_whole_run(repository, capsys):
    repository.write("01_one", STUDY, FULL, SAVE)
    repository.write("02_two", STUDY, SAVE)
    # One worker, so one notebook after the other.
    assert main([*SMOKE, "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "FAILED 01_one: DiskError: [Errno" in out
    assert "no room to write" in out
    assert "FAILED 02_two: not run: DiskError" in out
    assert repository.made() == {"runs/01_one.failed.ipynb"}
    assert go_on()[1] == []


def test_a_full_disk_is_named_when_a_student_is_stored():
    study, rows = open_study()
    study.bicubic()
    # What else would be written there are progress bars, into the file that pytest captures them in.
    with reported(lambda message: None), full_disk(), pytest.raises(DiskError, match="no room to write"):
        study.trained(rows[0], "SRCNN", 0)


def test_a_full_disk_while_tables_are_moved(repository, shared, monkeypatch, capsys):
    def full(*_):
        raise DiskError(28, "no room to write")

    repository.write_plain("01_one")
    monkeypatch.setattr("srdistill.study.run._into_place", full)
    assert main(SMOKE) == 1
    assert "no room to write" in capsys.readouterr().out


def test_a_damaged_store_is_reported_in_the_notebook_and_computed_again(repository, shared):
    assert go_on() == (2, [])
    for path in Path(os.environ["SRDISTILL_STORE"], "networks").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-20])
    repository.write("01_one", STUDY, SAVE)
    assert main(SMOKE) == 0
    outputs = [output for cell in repository.executed("01_one").cells for output in cell.get("outputs", [])]
    warned = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert len(set(re.findall("stored networks ([0-9a-f]{32}) is damaged", warned))) == 2
    assert "computing it again" in warned
    assert go_on() == (0, [])


def lose_seconds(instead: object = None) -> None:
    """Take the seconds out of the stored networks, or put something else there."""
    for path in Path(os.environ["SRDISTILL_STORE"], "networks").glob("*.json"):
        body = json.loads(path.read_text())
        body.pop("seconds") if instead is None else body.update(seconds=instead)
        path.write_text(json.dumps(body))


@pytest.mark.parametrize("seconds", [None, -5, "many"])
def test_an_entry_without_proper_seconds_is_computed_again(seconds):
    go_on()
    lose_seconds(seconds)
    computed, warned = go_on()
    assert computed == 2
    assert len(warned) >= 2
    assert go_on() == (0, [])


def test_an_entry_without_seconds_does_not_fail_the_notebook(repository, shared):
    go_on()
    lose_seconds()
    repository.write("01_one", STUDY, SAVE)
    assert main(SMOKE) == 0
    assert go_on() == (0, [])
