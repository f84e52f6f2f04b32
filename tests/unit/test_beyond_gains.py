"""Gains over bicubic, worked out by hand."""

from types import SimpleNamespace

import pandas as pd
import pytest

from srdistill.papers.beyond.gains import gains, gains_by_seed

LINES = [
    # row, network, seed, testset, metric, value
    ("Bicubic", "bicubic", None, "a", "psnr_y", 30.0), ("Bicubic", "bicubic", None, "b", "psnr_y", 20.0),
    ("Bicubic", "bicubic", None, "a", "psnr", 10.0), ("Bicubic", "bicubic", None, "b", "psnr", 10.0),
    ("Shrunk", "EDSR", 0, "a", "psnr_y", 32.0), ("Shrunk", "EDSR", 0, "b", "psnr_y", 21.0),
    ("Shrunk", "EDSR", 1, "a", "psnr_y", 33.0), ("Shrunk", "EDSR", 1, "b", "psnr_y", 21.0),
    ("Full", "EDSR", 0, "a", "psnr_y", 31.0), ("Full", "EDSR", 0, "b", "psnr_y", 20.0),
    ("Full", "EDSR", 0, "a", "psnr", 14.0), ("Full", "EDSR", 0, "b", "psnr", 12.0),
]  # fmt: skip


@pytest.fixture
def presented():
    scores = pd.DataFrame(LINES, columns=["row", "network", "seed", "testset", "metric", "value"])
    return SimpleNamespace(scores=scores, rows={"Full": None, "Shrunk": None})


def test_every_test_set_counts_the_same(presented):
    found = gains_by_seed(presented)
    assert found.loc[("Shrunk", "EDSR")].tolist() == [1.5, 2.0] and found.loc[("Full", "EDSR"), 0] == 0.5
    assert str(list(found.columns)) == "[0, 1]"


def test_rows_stand_in_the_order_of_the_table(presented):
    found = gains(presented)
    assert found.index.tolist() == ["Full", "Shrunk"] and found["EDSR"].tolist() == [0.5, 1.75]


def test_another_metric(presented):
    assert gains(presented, "psnr").loc["Full", "EDSR"] == 3.0
