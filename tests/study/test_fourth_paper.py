"""A fourth paper is one package: a table, a plan and a method of its own run through all of the study, which knows none of
them."""

import json
from dataclasses import dataclass, field

import pandas as pd
import pytest
import torch

from srdistill.networks import build_network
from srdistill.seeds import generator_for
from srdistill.sets.distilled_set import DistilledSet
from srdistill.sets.random_crops import random_crops
from srdistill.study import settings
from srdistill.study.engine.tasks import Step, Task
from srdistill.study.engine.work import Work
from srdistill.study.export import export_table
from srdistill.study.metrics import GAIN
from srdistill.study.pages.presentation import Presentation
from srdistill.study.paper import Paper, Table
from srdistill.study.rows import BICUBIC, ORIGINAL, Cell, FromCell, Row
from srdistill.study.sr import SRStudy
from srdistill.study.verdicts.questions import Question
from srdistill.training.recipe import Recipe

OURS, RANDOM = "Darkest, 2", "Random crops, 2"


@dataclass(frozen=True)
class Plan:
    """How large a run is."""

    train: str = field(default="photos", metadata={"about": "training pictures"})
    train_side: int = field(default=96, metadata={"about": "central crop, px"})
    train_min_side: int = field(default=0, metadata={"about": "least side, px"})
    tests: tuple = field(default=(settings.TestSet("photos", "photos", side=60),), metadata={"about": "test sets"})
    networks: dict = field(default_factory=lambda: {"Tiny": {"architecture": "SRCNN", "widths": (8, 4)}},
                           metadata={"about": "students"})  # fmt: skip
    size: int = field(default=32, metadata={"about": "side, px"})
    crop: int = field(default=32, metadata={"about": "least side of one's own pictures, px"})
    iterations: int = field(default=3, metadata={"about": "iterations", "source": settings.PRINTED})

    def of_table(self, table: str) -> "Plan":
        """The same for all."""
        return self

    def recipe(self, network: str, scale: int) -> Recipe:
        """One for all."""
        return Recipe(self.iterations, 2, 24)

    def deviations(self, table: str = "") -> list[str]:
        """From the paper's."""
        return settings.departures(self, PLANS["paper"], table)


PLANS = {"smoke": Plan(), "paper": Plan(iterations=1000)}


def darkest(real, *, per_picture, size, generator, threshold):
    """Of the windows of each picture those that are darkest, none brighter than the threshold of the seed."""
    images = []
    for picture in real.images:
        windows = picture.unfold(1, size, size).unfold(2, size, size).permute(1, 2, 0, 3, 4).flatten(0, 1)
        images.append(windows[windows.float().mean((1, 2, 3)).argsort()[:per_picture]])
    labels = torch.arange(len(real)).repeat_interleave(per_picture)
    return DistilledSet(torch.cat(images), labels, real.names, "darkest", {"threshold": threshold})


def measure(task: Task, work: Work):
    """A kind of task of its own: a number that is drawn from the pictures."""
    real = work.opened(task.settings["real"])
    drawn = torch.rand((), generator=generator_for(task.seed, "threshold"))
    return {"threshold": float(real.images[0].float().mean() * drawn)}, None


def read(entry, task: Task, work: Work) -> float:
    return entry.value["threshold"]


THRESHOLD = Step("thresholds", measure, read)


def threshold(study: SRStudy, cell: Cell) -> Task:
    """What differs from seed to seed."""
    return Task(THRESHOLD, None, {"real": study.real()}, cell.seed, study.device, label=f"threshold, seed {cell.seed}")


def rows(study: SRStudy) -> list[Row]:
    return [
        study.row(ORIGINAL),
        study.row(OURS, darkest, per_picture=2, threshold=FromCell("threshold")),
        study.row(RANDOM, random_crops, ipc=2),
    ]


def printed(table: str) -> pd.DataFrame:
    """What the paper prints of it."""
    values = {ORIGINAL: 34.5, OURS: 33.0, "Another method": 31.0}
    lines = [(row, "Tiny", "set5", "psnr", value, None, "printed") for row, value in values.items()]
    return pd.DataFrame(lines, columns=["row", "network", "testset", "metric", "value", "std", "status"]).astype({"std": float})


PAPER = Paper(
    "darkest", "the paper on dark corners", SRStudy, PLANS,
    (Table("darkest_t1", "Dark corners, table 1", "90_darkest", rows, ("Tiny",), shown=("psnr",)),),
    printed_on=("set5",), printed=printed, parts={"threshold": threshold},
)  # fmt: skip


@pytest.fixture
def shown() -> Presentation:
    study = PAPER.open("darkest_t1", profile="smoke", seeds=2)
    found = study.rows()
    return Presentation(study, found, study.run(found))


def test_it_runs_like_any_other(shown):
    assert shown.results.failures == [] and shown.results.computed == 6
    assert set(shown.results.scores.row) == {BICUBIC, ORIGINAL, OURS, RANDOM}
    study, row = shown.study, shown.rows[OURS]
    assert study.make_set(row, 0).settings != study.make_set(row, 1).settings
    assert len(list((study.store.root / "thresholds").glob("*.json"))) == 2
    again = PAPER.open("darkest_t1", profile="smoke", seeds=2)
    assert again.run(again.rows()).computed == 0


def test_it_is_shown_beside_its_printed_numbers(shown):
    wide = shown.table().data
    assert wide.loc[(OURS, "Tiny"), ("Set5", "PSNR", "printed")] == "33.00"
    assert wide.loc[("Another method", "Tiny"), ("photographs", "PSNR", "here")] == "not run here"
    assert "±" in wide.loc[(OURS, "Tiny"), ("photographs", "PSNR", "here")]
    assert list(shown.sizes().data.index) == ["training pictures", OURS, RANDOM]
    assert len(shown.plot("psnr").axes) == 1
    shown.plot(GAIN)
    titles = [axis.get_title() for axis in shown.zoom(["Tiny"]).axes]
    assert titles[:6] == ["Tiny, grace_hopper", "truth", BICUBIC, ORIGINAL, "Darkest, 2", "Random crops, 2"]
    claims = shown.check([Question("drop", "{network} loses", ORIGINAL, OURS)], ["Tiny"]).data
    assert claims["in the paper's own table"].tolist() == ["holds (+1.50 dB)"]


def test_it_is_saved_and_exported(shown, tmp_path):
    shown.check([Question("drop", "{network} loses", ORIGINAL, OURS)], ["Tiny"])
    names = shown.save()
    assert len(names) == 6 and all((shown.study.output / name).exists() for name in names)
    text = (shown.study.output / "darkest_t1.md").read_text()
    assert "### Dark corners, table 1" in text and "Differs from the paper in iterations: 3 (paper: 1000)." in text
    origin = json.loads((shown.study.output / "darkest_t1.provenance.json").read_text())
    assert origin["table"] == "darkest_t1" and set(origin["pictures"]) == {"train", "photos"}
    folder = export_table("darkest_t1", "smoke", to=tmp_path / "out")
    assert len(list(folder.glob("darkest-2/seed1/*.png"))) == 14
    assert "Method: darkest" in (folder / "darkest-2" / "seed0" / "README.md").read_text()


def test_its_network_may_be_named_by_rows_of_its_own(shown):
    study = shown.study
    network = study.student(study.row(ORIGINAL), "Tiny", seed=0)
    model = study.open(network)
    assert isinstance(model, type(build_network("SRCNN", 2, 0, widths=(8, 4))))
    assert study.student(shown.rows[OURS], "Tiny", seed=0).key != network.key
