"""Every printed row against ours: what is compared, by hand."""

import pandas as pd
import pytest

from srdistill.study.overviews.against_print import (
    ACCURACY,
    BELOW_FULL,
    GAIN_OF,
    against_print_figure,
    compared,
    write_against_print,
)
from srdistill.study.rows import BICUBIC, ORIGINAL


def table(root, name, lines):
    columns = ["row", "network", "testset", "metric", "mean", "std", "n", "published", "status", "note"]
    frame = pd.DataFrame([(*line[:5], None, 3, line[5], line[6] if len(line) > 6 else "printed", "") for line in lines],
                         columns=columns)  # fmt: skip
    (root / "desktop").mkdir(exist_ok=True)
    frame.to_csv(root / "desktop" / f"{name}.csv", index=False)


@pytest.fixture
def root(tmp_path):
    table(tmp_path, "dietz_t1", [
        (BICUBIC, "bicubic", "set5", "psnr", 30.0, None),
        (ORIGINAL, "EDSR", "set5", "psnr", 32.0, 34.0), ("A", "EDSR", "set5", "psnr", 31.0, 33.0),
        ("B", "EDSR", "set5", "psnr", 29.0, 29.0), ("C", "EDSR", "set5", "psnr", None, 31.0),
        ("D", "EDSR", "set5", "psnr", 31.0, 31.0, "doubtful"),
        (ORIGINAL, "VDSR", "set5", "psnr", 32.0, 30.0), ("A", "VDSR", "set5", "psnr", 31.0, 30.5),
    ])  # fmt: skip
    table(tmp_path, "labelfree_t1", [
        (ORIGINAL, "RealSR", "ost300", "ssim", None, 0.9), ("A, 7", "RealSR", "ost300", "ssim", None, 0.8),
        (ORIGINAL, "RealSR", "set5", "ssim", 0.7, None), (ORIGINAL, "RealSR", "set14", "ssim", 0.5, None),
        ("A, 7", "RealSR", "set5", "ssim", 0.6, None), ("A, 7", "RealSR", "set14", "ssim", 0.5, None),
    ])  # fmt: skip
    table(tmp_path, "coreset_t4", [
        ("RDED", "ResNet-18", "imagewoof", "accuracy", None, 17.9), ("RDED", "ResNet-18", "imagenette", "accuracy", None, 35.8),
        ("RDED", "ConvNet", "imagenette", "accuracy", 30.0, None), ("own", "ConvNet", "imagenette", "accuracy", 31.0, None),
    ])  # fmt: skip
    return tmp_path


def found(root, quantity):
    lines = compared(root, "desktop")
    return {line.row: (line.printed, line.ours) for line in lines[lines.quantity == quantity].itertuples()}


def test_gains_are_of_students_that_gain_something_in_print_too(root):
    assert found(root, GAIN_OF) == {"A": (75.0, 50.0), "B": (-25.0, -50.0)}


def test_on_other_pictures_the_distance_to_full_data_is_compared(root):
    ((row, (printed, ours)),) = found(root, BELOW_FULL).items()
    assert row == "A, 7" and printed == pytest.approx(-0.1) and ours == pytest.approx(-0.05)


def test_accuracy_on_the_same_data_set_and_never_in_the_place_of_another_that_is_measured(root):
    lines = compared(root, "desktop")
    accuracy = lines[lines.quantity == ACCURACY]
    by_set = {line.network: (line.printed, line.ours) for line in accuracy.itertuples()}
    assert by_set["imagenette"] == (35.8, 30.0)


def test_the_figure_has_a_panel_for_each_quantity_and_says_how_well_the_orders_agree(root):
    figure = against_print_figure(compared(root, "desktop"))
    titles = [axis.get_title() for axis in figure.axes]
    assert len(titles) == 3 and titles[0].startswith(f"dietz: {GAIN_OF}") and "rank correlation 1.00, 2 rows" in titles[0]


def _named(axis) -> tuple[list[str], list]:
    """Names in the legend, and the colours beside them."""
    handles, names = axis.get_legend_handles_labels()
    return names, [handle.get_color() for handle in handles]


def test_sets_that_fail_in_print_do_not_hide_the_others(root):
    lines = compared(root, "desktop")
    failed = lines[lines.quantity == GAIN_OF].iloc[[0]].assign(printed=-400.0)
    figure = against_print_figure(pd.concat([failed, lines], ignore_index=True))
    everything, without = (axis.get_title() for axis in figure.axes[:2])
    assert ", 3 rows" in everything and ", 2 rows" in without and f"{GAIN_OF}, without failures" in without
    firsts = [dict(zip(*_named(axis), strict=True)) for axis in figure.axes[:2]]
    assert firsts[1].items() <= firsts[0].items()  # the same colours
    assert "below -100 %" in figure.caption and "below" not in against_print_figure(lines).caption


def test_it_is_written_with_its_numbers(root, tmp_path):
    path = write_against_print(root, "desktop")
    assert path.stat().st_size > 1000 and len(pd.read_csv(path.with_suffix(".csv"))) == len(compared(root, "desktop"))
    assert (root / "desktop" / "ORDERS.md").exists()
    assert write_against_print(root, "gpu") is None
