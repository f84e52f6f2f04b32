"""Our numbers beside the printed ones, and what has to stand under them."""

import ast
import inspect
import math

import pandas as pd
import pytest

from srdistill.papers import dietz
from srdistill.study.metrics import GAIN, METRICS, number
from srdistill.study.pages import tables as module
from srdistill.study.pages.published import published
from srdistill.study.pages.tables import long_table, notes, per_seed, read_table, show, to_latex, to_markdown, wide_table
from srdistill.study.rows import BICUBIC, ORIGINAL, Results, Row

NOISE = "Syn. IPC=1"
COLUMNS = ["row", "network", "testset", "metric", "mean", "std", "n", "published"]


def lines(row, network, psnr, *, testset="set5", collapsed=False, lpips=None) -> list[dict]:
    """Scores of two pictures, 1 dB apart and ``psnr`` on average, for each seed."""
    seeds = [None] if network == "bicubic" else range(len(psnr))
    found = []
    for seed, mean in zip(seeds, psnr, strict=True):
        for image, offset in (("a", -0.5), ("b", 0.5)):
            line = {"row": row, "network": network, "seed": seed, "testset": testset, "collapsed": collapsed,
                    "image": image, "psnr": mean + offset, "ssim": 0.9, "psnr_y": mean + 2, "ssim_y": 0.95}  # fmt: skip
            found.append(line | ({} if lpips is None else {"lpips": lpips}))
    return found


class _Pictures(list):
    origin = "photos/train"


class _Study(dietz.PAPER.kind):
    """A study of which the tables are to read no more than what stands here."""

    train, tests = _Pictures(range(7)), {"set5": range(2)}
    lpips, lpips_note = None, "LPIPS-alex: no backbone weights; put it under /somewhere"


@pytest.fixture
def fake_study():
    """``lpips`` is its backbone's name or nothing."""

    def make(table="dietz_t1", lpips=""):
        made = _Study(dietz.PAPER, dietz.PAPER.table(table), profile="smoke", seeds=2)
        if lpips:
            made.lpips, made.lpips_note = object(), f"LPIPS-{lpips}"
        return made

    return make


@pytest.fixture
def study(fake_study):
    return fake_study()


def results(*groups, rows=(ORIGINAL, NOISE), networks=("EDSR",), failures=()) -> Results:
    scores = pd.DataFrame([line for group in groups for line in group])
    return Results([Row(label) for label in rows], list(networks), 2, scores, list(failures), 0, 0.0)


@pytest.fixture
def plain_results() -> Results:
    """Bicubic 30 dB; full data 34 and 36 dB; distilled 30 and 31 dB."""
    return results(
        lines(BICUBIC, "bicubic", [30.0]), lines(ORIGINAL, "EDSR", [34.0, 36.0]), lines(NOISE, "EDSR", [30.0, 31.0])
    )


def at(long: pd.DataFrame, row: str, metric: str, network="EDSR", testset="set5"):
    found = long[(long.row == row) & (long.metric == metric) & (long.network == network) & (long.testset == testset)]
    assert len(found) == 1
    return found.iloc[0]


def test_long_table_has_the_promised_columns(study, plain_results):
    columns = list(long_table(study, plain_results))
    assert [column for column in columns if column in COLUMNS] == COLUMNS
    assert {"status", "note"} <= set(columns)


def test_mean_and_deviation_are_over_seeds_of_means_over_pictures(study, plain_results):
    line = at(long_table(study, plain_results), ORIGINAL, "psnr")
    assert line["mean"] == pytest.approx(35.0)
    assert line["std"] == pytest.approx(math.sqrt(2))
    assert line["n"] == 2


def test_ours_stands_beside_the_printed_number(study, plain_results):
    assert at(long_table(study, plain_results), ORIGINAL, "psnr")["published"] == 35.772


def test_one_seed_has_no_deviation(study):
    long = long_table(study, results(lines(BICUBIC, "bicubic", [30.0]), lines(ORIGINAL, "EDSR", [34.0])))
    line = at(long, ORIGINAL, "psnr")
    assert line["n"] == 1
    assert math.isnan(line["std"])


def test_every_printed_number_keeps_its_line(study, plain_results):
    long = long_table(study, plain_results)
    printed = published("dietz_t1")
    keys = ["row", "network", "testset", "metric"]
    both = printed.merge(long, on=keys, how="left", validate="one_to_one")
    assert both.published.tolist() == printed.value.tolist()
    not_run = both[both.network == "VDSR"]
    assert len(not_run) == 27
    assert (not_run.n == 0).all()
    assert not_run["mean"].isna().all()


def test_a_row_that_the_paper_lacks_is_kept(study):
    made = results(lines(BICUBIC, "bicubic", [30.0]), lines("Our control", "EDSR", [33.0]), rows=("Our control",))
    line = at(long_table(study, made), "Our control", "psnr")
    assert line["mean"] == pytest.approx(33.0)
    assert math.isnan(line["published"])


def test_numbers_stay_numbers_without_a_recovered_gain(study):
    made = results(lines(BICUBIC, "bicubic", [30.0]), lines(ORIGINAL, "EDSR", [29.0]))
    assert long_table(study, made)["mean"].dtype == float


def test_a_printed_row_that_was_not_run_keeps_its_place_and_says_so(study, plain_results):
    wide = wide_table(long_table(study, plain_results))
    first = next(column for column in wide.columns if column[2] == "here")
    assert wide.loc[("Syn. IPC=10", "EDSR"), first] == "not run here"
    assert (wide == "not run here").sum().sum() == sum(
        not (wide.loc[key][[c for c in wide if c[2] == "here"]].str.contains(r"\d").any()) for key in wide.index
    )
    assert wide.loc[(ORIGINAL, "EDSR"), first] != "not run here"


def test_rows_come_in_the_order_of_the_study(study, plain_results):
    long = long_table(study, plain_results)
    assert long.row.drop_duplicates().tolist()[:3] == [BICUBIC, ORIGINAL, NOISE]


def test_recovered_gain_runs_from_bicubic_to_full_data(study):
    made = results(
        lines(BICUBIC, "bicubic", [30.0]),
        lines(ORIGINAL, "EDSR", [34.0, 36.0]),
        lines(NOISE, "EDSR", [30.0, 30.0]),
        lines("Half", "EDSR", [32.5, 32.5]),
        lines("Below", "EDSR", [29.0, 29.0]),
        rows=(ORIGINAL, NOISE, "Half", "Below"),
    )
    long = long_table(study, made)
    gains = [at(long, row, GAIN)["mean"] for row in (ORIGINAL, NOISE, "Half", "Below")]
    assert gains == pytest.approx([100, 0, 50, -20])
    assert at(long, ORIGINAL, GAIN)["std"] == pytest.approx(20 * math.sqrt(2))


@pytest.mark.parametrize("full", [29.0, 30.0, 30.01])
def test_no_recovered_gain_where_full_data_is_not_above_bicubic(study, full):
    made = results(lines(BICUBIC, "bicubic", [30.0]), lines(ORIGINAL, "EDSR", [full]), lines(NOISE, "EDSR", [31.0]))
    assert GAIN not in set(per_seed(study, made).metric)
    assert GAIN not in set(long_table(study, made).metric)


def test_no_recovered_gain_without_a_full_data_row(study):
    made = results(lines(BICUBIC, "bicubic", [30.0]), lines(NOISE, "EDSR", [31.0]), rows=(NOISE,))
    assert GAIN not in set(per_seed(study, made).metric)


def test_recovered_gain_is_each_students_own(study):
    made = results(
        lines(BICUBIC, "bicubic", [30.0]),
        lines(ORIGINAL, "EDSR", [34.0]),
        lines(ORIGINAL, "SRCNN", [32.0]),
        lines(NOISE, "EDSR", [31.0]),
        lines(NOISE, "SRCNN", [31.0]),
        networks=("SRCNN", "EDSR"),
    )
    long = long_table(study, made)
    assert at(long, NOISE, GAIN)["mean"] == pytest.approx(25)
    assert at(long, NOISE, GAIN, "SRCNN")["mean"] == pytest.approx(50)


def test_collapsed_rows_carry_a_dagger_and_are_explained(study):
    made = results(
        lines(BICUBIC, "bicubic", [30.0]),
        lines(ORIGINAL, "EDSR", [34.0, 34.0]),
        lines(NOISE, "EDSR", [30.0, 30.0], collapsed=True),
    )
    long = long_table(study, made)
    assert at(long, NOISE, "psnr")["note"] == "collapsed to bicubic in 2 of the seeds"
    assert at(long, ORIGINAL, "psnr")["note"] == ""
    wide = wide_table(long)
    assert wide.loc[(NOISE, "EDSR"), ("Set5", "PSNR", "here")].endswith("†")
    assert "†" not in wide.loc[(ORIGINAL, "EDSR"), ("Set5", "PSNR", "here")]
    assert any(line.startswith("† collapsed") for line in notes(study, made, long))


def test_dead_channels_of_students_that_have_such_stand_under_the_table(study):
    made = results(
        lines(BICUBIC, "bicubic", [30.0]),
        lines(ORIGINAL, "EDSR", [34.0, 34.0]),
        lines(ORIGINAL, "SRCNN", [33.0]),
        lines(ORIGINAL, "VDSR", [33.0]),
    )
    made.scores["dead"] = made.scores.network.map({"SRCNN": 0.5, "EDSR": 0.25})
    assert "Channels that never fire, at most: EDSR 25 %, SRCNN 50 %." in notes(study, made, long_table(study, made))


def test_our_lpips_never_shares_a_line_with_the_printed_one(fake_study):
    made = results(
        lines(BICUBIC, "bicubic", [30.0], lpips=0.3),
        lines(ORIGINAL, "EDSR", [34.0], lpips=0.1),
        lines(NOISE, "EDSR", [31.0], lpips=0.2),
    )
    long = long_table(fake_study(lpips="alex"), made)
    assert at(long, ORIGINAL, "lpips_alex")["mean"] == pytest.approx(0.1)
    assert math.isnan(at(long, ORIGINAL, "lpips_alex")["published"])
    assert at(long, ORIGINAL, "lpips")["published"] == 0.0886
    assert (long[long.metric == "lpips"].n == 0).all()
    wide = wide_table(long)
    assert ("Set5", "LPIPS", "here") not in wide.columns
    assert ("Set5", "LPIPS-alex", "printed") not in wide.columns


def test_wide_table_reads_as_mean_and_deviation_beside_the_printed_number(study, plain_results):
    wide = wide_table(long_table(study, plain_results))
    assert wide.loc[(ORIGINAL, "EDSR"), ("Set5", "PSNR", "here")] == "35.00 ± 1.41"
    assert wide.loc[(ORIGINAL, "EDSR"), ("Set5", "PSNR", "printed")] == "35.77"
    assert wide.loc[(BICUBIC, ""), ("Set5", "PSNR", "here")] == "30.00"
    columns = list(wide.columns)
    assert columns.index(("Set5", "PSNR", "here")) + 1 == columns.index(("Set5", "PSNR", "printed"))


def test_doubtful_printed_numbers_carry_a_question_mark(fake_study):
    study = fake_study("dietz_t3")
    made = results(lines(BICUBIC, "bicubic", [30.0]), lines(ORIGINAL, "EDSR", [34.0]), rows=(ORIGINAL,))
    long = long_table(study, made)
    assert wide_table(long).loc[("Syn. IPC=1 (pre-trained)", "SRCNN"), ("Set5", "LPIPS", "printed")] == "0.1020?"
    assert any(line.startswith("?") for line in notes(study, made, long))


def test_notes_name_profile_deviations_and_failures_but_no_folder(study, plain_results):
    plain_results.failures.append("EDSR on Noise, seed 0: Diverged: loss is nan")
    text = "\n".join(notes(study, plain_results, long_table(study, plain_results)))
    assert "Profile smoke" in text
    assert "2 seeds. PSNR" in text
    assert "Differs from the paper in training pictures: photos (paper: div2k)." in text
    assert "Failed: EDSR on Noise, seed 0" in text
    assert "/somewhere" not in text


def test_markdown_has_one_line_per_row_and_network(study, plain_results):
    wide = wide_table(long_table(study, plain_results))
    text = to_markdown(wide).splitlines()
    assert len(text) == 2 + len(wide)
    assert "Set5 PSNR here" in text[0]
    assert any("35.00 ± 1.41" in line and "35.77" in line for line in text)


def test_latex_is_escaped_and_labelled(study, plain_results):
    text = to_latex(wide_table(long_table(study, plain_results)), "Caption", "dietz_t1")
    assert r"\toprule" in text and r"\label{tab:dietz_t1}" in text and r"\caption{Caption}" in text
    assert r"35.00 $\pm$ 1.41" in text
    assert r"gain \%" in text
    assert not any(character in text for character in "±†")


def test_the_notebook_shows_the_same_numbers(study, plain_results):
    html = show(wide_table(long_table(study, plain_results))).to_html()
    assert "35.00 ± 1.41" in html and "35.77" in html


def test_a_stored_table_reads_as_it_was(study, plain_results, tmp_path):
    long = long_table(study, plain_results)
    long.to_csv(tmp_path / "t.csv", index=False)
    found = read_table(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(found, long.fillna({"status": ""}), check_dtype=False)


def test_a_table_may_choose_its_metrics(study, plain_results):
    wide = wide_table(long_table(study, plain_results), ("ssim", "psnr_y"))
    assert {column[1] for column in wide.columns if column[2] == "here"} == {"SSIM", "PSNR-Y"}


def test_columns_come_in_the_order_of_metrics(study, plain_results):
    order = [metric.title for metric in METRICS.values()]
    columns = [column[1] for column in wide_table(long_table(study, plain_results)).columns if column[0] == "Set5"]
    assert columns == sorted(columns, key=order.index)


def test_numbers_have_the_decimals_of_their_metric():
    assert (number(31.127, "psnr"), number(0.12345, "ssim"), number(61.24, "accuracy"), number(50.4, GAIN)) == (
        "31.13", "0.1235", "61.2", "50",
    )  # fmt: skip
    assert number(1.23456, "unknown") == "1.2346"


def test_reading_a_table_imports_no_method():
    """A reader of CSV files has no need of the wings."""
    imported = [node.module for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name.startswith("srdistill.papers")]
