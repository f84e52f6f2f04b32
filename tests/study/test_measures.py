"""What is said of sets before students: against values worked out by hand."""

import pandas as pd
import pytest
import torch

from srdistill.sets.distilled_set import DistilledSet
from srdistill.study.pages.figures import learning_figure
from srdistill.study.pages.measures import detail_table, learning_curves, levels_moved, octave_table, pixel_range
from srdistill.study.rows import ORIGINAL


def made(images: torch.Tensor) -> DistilledSet:
    return DistilledSet(images, torch.arange(len(images)), tuple(f"picture {i}" for i in range(len(images))), "test", {})


def test_every_value_moved_by_four_levels():
    start = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    assert levels_moved(made(start), made(start - 4)) == pytest.approx(4)


def test_the_range_goes_over_pictures_of_all_sizes():
    black, white = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.full((3, 4, 12), 255, dtype=torch.uint8)
    assert pixel_range([black, white]) == {"min pixel": 0, "mean pixel": pytest.approx(0.75), "max pixel": 1}


def test_a_flat_set_comes_back_whole_and_noise_does_not():
    flat = torch.full((2, 3, 16, 16), 90, dtype=torch.uint8)
    noise = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    table = detail_table({"flat": made(flat), "noise": made(noise)})
    assert table.index.tolist() == ["flat", "noise"]
    assert table.iloc[0, 0] > 75
    assert table.iloc[1, 0] < 20


def test_a_copy_keeps_all_of_the_upper_octave():
    real = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    table = octave_table(real, {"copy": real})
    assert table.loc["copy", ["upper octave kept, median %", "explained, median %"]].tolist() == [100, 100]


def test_detail_is_of_images_too():
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    table = detail_table({"set": made(images), "images": images}, scale=4)
    assert table.iloc[0, 0] == table.iloc[1, 0]


def test_learning_curves_are_schedules_of_their_own(smoke_study):
    study = smoke_study(seeds=2)
    row = study.row(ORIGINAL)
    found = learning_curves(study, row, ["SRCNN", "EDSR"], "photos", shares=(0.5, 1, 2))
    assert found.network.tolist() == ["SRCNN"] * 3 + ["EDSR"] * 3 and found.steps.tolist() == [2, 4, 8] * 2
    # After all of its steps a student is that of the table.
    whole = study.entry(study.scoring(study.student(row, "EDSR", 0))).value["scores"]["photos"]
    gain = pd.DataFrame(whole).psnr.mean() - pd.DataFrame(study.bicubic()["photos"]).psnr.mean()
    assert found.iloc[4, 2] == pytest.approx(gain) and found.iloc[:, 2].nunique() > 3
    axis = learning_figure(found).axes[0]
    assert axis.get_xscale() == "log" and len(axis.get_legend().get_texts()) == 2
