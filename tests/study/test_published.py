"""The printed numbers, digit for digit, and rows that are called as the study calls them."""

import pandas as pd
import pytest

from srdistill.study.pages.published import printed_table, published
from srdistill.study.paper import papers
from srdistill.study.paths import NOTEBOOKS, PUBLISHED

COUNTS = {
    "dietz_t1": 81, "dietz_t2": 81, "dietz_t3": 81, "dietz_t4": 81, "dietz_t5": 54, "dietz_text": 8,
    "labelfree_t1": 52, "labelfree_t2": 56, "labelfree_t3": 18, "labelfree_text": 20,
    "coreset_t1": 60, "coreset_t2": 66, "coreset_t3": 6, "coreset_t4": 10, "coreset_t5": 14, "coreset_t6": 28,
    "coreset_text": 12,
}  # fmt: skip
VALUES = ("metric", "value", "std", "status")
every_table = pytest.mark.parametrize("table", COUNTS)
printed_tables = pytest.mark.parametrize("table", [name for name in COUNTS if not name.endswith("text")])


def test_every_table_of_the_three_papers_is_there():
    assert {path.stem for path in PUBLISHED.glob("*.csv")} == set(COUNTS)


@every_table
def test_number_of_values(table):
    assert len(published(table)) == COUNTS[table]


@every_table
def test_no_number_stands_twice(table):
    keys = [column for column in published(table) if column not in ("value", "std", "status")]
    assert not published(table).duplicated(keys).any()


@printed_tables
def test_values_are_numbers(table):
    assert pd.api.types.is_numeric_dtype(published(table).value)


@every_table
def test_only_empty_cells_have_no_value(table):
    long = published(table)
    assert set(long.status) <= {"printed", "doubtful", "empty"}
    assert (long.value.isna() == (long.status == "empty")).all()


DIGITS = [
    ("dietz_t1", {"row": "Baseline (original)", "network": "EDSR", "testset": "set5", "metric": "psnr"}, 35.772),
    ("dietz_t1", {"row": "Baseline (original)", "network": "SRCNN", "testset": "div2k", "metric": "lpips"}, 0.1488),
    ("dietz_t5", {"row": "Baseline (original)", "testset": "set5", "metric": "psnr"}, 30.0909),
    ("labelfree_t1", {"row": "RealSR-GSDD", "n_images": 7, "metric": "lpips"}, 0.5874),
    ("labelfree_t2", {"row": "EDSR", "n_images": 7, "metric": "psnr"}, 25.03),
    ("labelfree_t3", {"row": "Random Crop", "n_images": 140, "metric": "ssim"}, 0.6068),
    ("coreset_t1", {"dataset": "Tiny-ImageNet", "ipc": 1, "row": "MTT"}, 8.8),
    ("coreset_t2", {"dataset": "CIFAR10", "ipc": 1, "row": "Tesla"}, 48.5),
    ("coreset_t3", {"patch": 112, "r": 2}, 2.53),
    ("coreset_t4", {"row": "RDED", "dataset": "imagewoof"}, 17.9),
    ("coreset_t5", {"row": "MTT", "dataset": "imagenette"}, 24.1),
    ("coreset_t6", {"row": "MTT", "network": "average"}, 23.8),
]


@pytest.mark.parametrize(("table", "place", "value"), DIGITS)
def test_digits(table, place, value):
    assert _at(table, place) == [value]


def _at(table: str, place: dict) -> list[float]:
    long = published(table)
    for column, entry in place.items():
        long = long[long[column].astype(str) == str(entry)]
    return long.value.tolist()


def test_printed_vdsr_baseline_is_bicubic():
    place = {"row": "Baseline (original)", "network": "VDSR", "testset": "set5"}
    assert _at("dietz_t1", place | {"metric": "psnr"}) == [32.062]
    assert _at("dietz_t1", place | {"metric": "ssim"}) == [0.9127]


def test_the_baseline_is_the_same_in_the_x2_tables():
    def baseline(table):
        long = published(table)
        keys = ["network", "testset", "metric"]
        return long[long.row == "Baseline (original)"].set_index(keys)["value"].sort_index()

    for table in ("dietz_t2", "dietz_t4"):
        pd.testing.assert_series_equal(baseline(table), baseline("dietz_t1"))


def test_two_numbers_of_dietz_table_3_come_from_a_damaged_line():
    doubtful = published("dietz_t3").query("status == 'doubtful'")
    assert doubtful.row.unique().tolist() == ["Syn. IPC=1 (pre-trained)"]
    assert doubtful[["network", "testset", "metric", "value"]].values.tolist() == [
        ["SRCNN", "set5", "lpips", 0.102],
        ["SRCNN", "div2k", "lpips", 0.1591],
    ]


@every_table
def test_numbers_lie_where_their_metric_can_be(table):
    limits = {"psnr": (5, 60), "ssim": (0, 1), "lpips": (0, 1), "accuracy": (0, 100)}
    long = published(table).dropna(subset="value")
    for metric, (low, high) in limits.items():
        assert long[long.metric == metric].value.between(low, high).all()


def test_unknown_table_names_the_known_ones():
    with pytest.raises(ValueError, match="'dietz_t9'.*dietz_t1.*labelfree_t1"):
        published("dietz_t9")


@printed_tables
def test_printed_layout_keeps_the_order_of_rows(table):
    long = published(table)
    keys = [column for column in long if column not in ("testset", "dataset", *VALUES)]
    keys = [key for key in keys if key in printed_table(table).index.names]
    assert keys
    expected = long[keys].drop_duplicates().apply(tuple, axis=1).tolist()
    found = printed_table(table).index.to_frame()[keys].drop_duplicates().apply(tuple, axis=1).tolist()
    assert found == expected


def test_printed_layout_shows_the_digits_and_the_doubt():
    table = printed_table("dietz_t3")
    assert table.loc[("Syn. IPC=1 (pre-trained)", "SRCNN"), ("set5", "lpips")] == "0.102?"
    assert table.loc[("Baseline (original)", "EDSR"), ("set5", "psnr")] == "35.772"


@printed_tables
def test_printed_layout_holds_every_number_once(table):
    shown = (printed_table(table) != "").to_numpy().sum()
    assert shown == (published(table).status != "empty").sum()


def printed_rows(table: str) -> pd.DataFrame:
    """As the paper's wing has them."""
    return next(paper for paper in papers() if paper.name == table.partition("_")[0]).printed(table)


@pytest.mark.parametrize(
    ("table", "row", "network", "metric", "value"),
    [
        ("dietz_t1", "Baseline (original)", "EDSR", "ssim", 0.9442),
        ("labelfree_t1", "Distilled, 140", "RealSR", "ssim", 0.6335),
        ("labelfree_t1", "GSDD, 7", "RealSR", "lpips", 0.5874),
        ("labelfree_t1", "Baseline (original)", "Real-ESRGAN", "lpips", 0.0903),
        ("labelfree_t2", "Distilled, 7", "EDSR", "psnr", 25.03),
        ("labelfree_t3", "Random patches, 140", "Real-ESRGAN", "ssim", 0.6068),
        ("labelfree_t3", "Selected patches, 140", "Real-ESRGAN", "ssim", 0.6251),
        ("coreset_t1", "RDED, IPC 10", "ResNet-18", "accuracy", 41.9),
        ("coreset_t2", "Ours, IPC 1", "ConvNet", "accuracy", 38.2),
        ("coreset_t2", "Ours, IPC 1", "ResNet-18", "accuracy", 31.0),
        ("coreset_t3", "r = 8", "ResNet-18", "seconds_per_epoch", 22.49),
        ("coreset_t4", "Only text cond.", "ResNet-18", "accuracy", 19.6),
    ],
)
def test_printed_rows_are_named_as_the_study_names_them(table, row, network, metric, value):
    lines = printed_rows(table)
    found = lines[(lines.row == row) & (lines.network == network) & (lines.metric == metric)]
    assert found.value.iloc[0] == value


@pytest.mark.parametrize("table", ["dietz_t1", "dietz_t5", "labelfree_t1", "labelfree_t2", "labelfree_t3"])
def test_no_printed_row_is_lost_or_merged(table):
    lines = printed_rows(table)
    assert len(lines) == COUNTS[table]
    assert not lines.duplicated(["row", "network", "testset", "metric"]).any()
    assert not lines.row.str.contains("Ours|FULL").any()


def test_table_3_of_labelfree_is_about_real_esrgan():
    """It names no student; the distilled sets' numbers are those of table 1."""
    keys = ["row", "network", "testset", "metric"]
    first, third = (printed_rows(f"labelfree_t{n}").set_index(keys).value for n in (1, 3))
    same = [key for key in third.index if key[0].startswith("Distilled")]
    assert len(same) == 6 and all(first[key] == third[key] for key in same)


def test_every_table_that_a_wing_reproduces_is_printed_and_has_a_notebook():
    tables = [(paper, table) for paper in papers() for table in paper.tables if table.name != "protocol"]
    assert len(tables) >= 12
    for paper, table in tables:
        lines = paper.printed(table.name)
        assert list(lines.columns) == ["row", "network", "testset", "metric", "value", "std", "status"], table.name
        # A wing of our own has tables that nobody has printed.
        assert len(lines) == (COUNTS[table.name] if paper.printed_on else 0)
        assert (NOTEBOOKS / f"{table.notebook}.py").exists()


def test_papers_come_in_the_order_of_their_notebooks():
    assert [paper.name for paper in papers()][:3] == ["dietz", "labelfree", "coreset"]


def test_the_printed_numbers_that_decide_are_in_every_table_but_those_that_name_none():
    printed = [paper for paper in papers() if paper.printed_on]
    assert [paper.name for paper in printed] == ["dietz", "labelfree", "coreset"]
    for paper in printed:
        for table in paper.tables:
            if table.name not in ("protocol", "coreset_t3"):
                assert paper.printed(table.name).testset.isin(paper.printed_on).any(), table.name
