"""The two pictures of everything: claims with their intervals, sets with what they cost and bring."""

import json

import pandas as pd
import pytest

from srdistill.study.pages.forest import forest_figure, write_forest
from srdistill.study.pages.pareto import kind_of, pareto_figure, set_gains, write_pareto
from srdistill.study.paths import TABLES
from srdistill.study.verdicts.board import once, read_claims


def claim(**changes) -> dict:
    return {
        "table": "dietz_t1", "statement": "A beats B", "values": [0.2, 0.4], "interval": [0.1, 0.5], "line": 0.1, "margin": 0.1,
        "verdict": "yes", "identity": "a",
    } | changes  # fmt: skip


def drawn(figure):
    """(x, y) of every mark, and the names beside them."""
    axis = figure.axes[0]
    marked = [line for line in axis.lines if line.get_marker() != "None"]
    marks = [(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in marked]
    return marks, [label.get_text() for label in axis.get_yticklabels()]


def test_a_claim_lies_at_its_distance_from_its_line_in_units_of_what_matters():
    far = claim(statement="C beats D", values=[-3.0], interval=[-4.0, -2.0], verdict="no")
    marks, names = drawn(forest_figure([claim(), far]))
    assert names == ["dietz table 1", "A beats B", "C beats D"]
    (x, y, marker), beyond = marks
    assert (round(x, 6), y, marker) == (2.0, 1, "o") and beyond == (-8.0, 2, "<")
    with pytest.raises(ValueError, match="no claim with a measured difference"):
        forest_figure([claim(values=[], interval=None)])


def test_every_measured_claim_of_the_committed_tables_is_drawn():
    claims = once(read_claims(TABLES, "desktop"))
    figure = forest_figure(claims)
    names = [label.get_text() for axis in figure.axes for label in axis.get_yticklabels()]
    measured = [one["statement"] for one in claims if one["values"] and one["interval"]]
    assert sorted(name for name in names if name in measured) == sorted(measured) and len(measured) > 100


def test_kinds_of_sets():
    assert kind_of("Baseline (downscaled)") == kind_of("Downscaled, undistilled") == kind_of("Herded, smaller") == "shrunk"
    assert kind_of("Syn. IPC=1 (downscaled)") == kind_of("Distilled in pixels") == "distilled in pixels"
    assert kind_of("Syn. IPC=1 (latent)") == kind_of("Inversion, high-pass loss") == "distilled in a latent space"
    assert kind_of("Noise, IPC=1, undistilled") == "noise" and kind_of("Distilled, 140") == "made by a diffusion model"
    assert kind_of("Downscaled, smaller, taught") == "taught by a larger network"
    assert kind_of("Distilled in codes") == kind_of("Inverted") == "distilled in a latent space"
    assert kind_of("Real crops, 48 px") == kind_of("Pyramid coverage") == "chosen"


def test_gains_and_shares_by_hand(tmp_path):
    folder = tmp_path / "desktop"
    folder.mkdir()
    cells = {
        ("Bicubic", "bicubic"): (30.0, 28.0), ("Baseline (original)", "EDSR"): (32.0, 29.0), ("Real", "EDSR"): (31.0, 28.8),
        ("Real", "SRCNN"): (40.0, 40.0), ("Real, 4 x steps", "EDSR"): (35.0, 35.0),
    }  # fmt: skip
    lines = [
        (row, network, testset, "psnr", value, "", 3, "", "", "")
        for (row, network), values in cells.items() for testset, value in zip(("set5", "set14"), values, strict=True)
    ]  # fmt: skip
    names = ["row", "network", "testset", "metric", "mean", "std", "n", "published", "status", "note"]
    pd.DataFrame(lines, columns=names).to_csv(folder / "dietz_t2.csv", index=False)
    (folder / "dietz_t2.sizes.csv").write_text(
        "training set,images,HR pixels,bytes as PNG,bytes with labels and decoder\ntraining pictures,10,1000,2000,2000\n"
        "Real,5,10,30,50\n\"Real, 4 x steps\",5,10,30,50\n"
    )
    # A table of the same student without full data takes it from this one.
    other = [line for line in lines if line[0] != "Baseline (original)"]
    pd.DataFrame(other, columns=names).replace({"row": {"Real": "Chosen"}}).to_csv(folder / "dietz_t3.csv", index=False)
    (folder / "dietz_t3.sizes.csv").write_text((folder / "dietz_t2.sizes.csv").read_text().replace("Real,", "Chosen,"))
    line, chosen = set_gains(tmp_path, "desktop").itertuples(index=False)
    assert (chosen.table, chosen.row, chosen.gain) == ("dietz_t3", "Chosen", line.gain)
    assert (line.row, line.kind, line.scale, line.pixels, line.bytes) == ("Real", "chosen", 2, 1.0, 2.5)
    assert line.gain == pytest.approx((50 + 80) / 2)
    assert len(pareto_figure(set_gains(tmp_path, "desktop")).axes) == 2


def test_files_beside_each_other_and_none_where_there_is_nothing(tmp_path):
    assert write_forest(tmp_path, "desktop") is None and write_pareto(tmp_path, "desktop") is None
    (tmp_path / "desktop").mkdir()
    (tmp_path / "desktop" / "dietz_t1.claims.jsonl").write_text(json.dumps(claim()) + "\n")
    path = write_forest(tmp_path, "desktop")
    assert path.exists() and path.with_suffix(".svg").exists()
