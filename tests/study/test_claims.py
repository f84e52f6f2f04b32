"""Sentences of the papers, decided by the paper's own table and by differences over seeds."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from srdistill.papers import dietz, labelfree
from srdistill.study.pages.presentation import Presentation
from srdistill.study.rows import BICUBIC, ORIGINAL
from srdistill.study.sr import SRStudy
from srdistill.study.verdicts.claims import Claim, claims_table
from srdistill.study.verdicts.intervals import crossed_interval
from srdistill.study.verdicts.questions import Question, check

NOISE = "Syn. IPC=1"


def claim(values=(), line=0.0, printed=None, sentence="a sentence", **options) -> Claim:
    found = crossed_interval(np.array(values, dtype=float)[:, None], line) if values else None
    interval = (found.low, found.high) if found and math.isfinite(found.low) else None
    return Claim(
        "name", "dietz_t1", sentence, "a statement", values=list(values), interval=interval, p=found.p if found else math.nan,
        line=line, printed=printed, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "line", "verdict"),
    [
        ([1.0, 1.1, 1.2], 0.0, "reproduced"),
        ([1.0, 1.1, 1.2], 2.0, "not reproduced"),
        ([-1.0, -1.1, -1.2], 0.0, "not reproduced"),
        ([-1.0, 0.5, 1.0], 0.0, "undecided"),
        ([1.0, 1.1, 1.2], 1.1, "undecided"),
        ([0.9, 0.1], 0.0, "undecided"),
        ([5.0], 0.0, "undecided"),
        ([], 0.0, "undecided"),
        ([1.0, math.nan, 1.2], 0.0, "undecided"),
        ([1.0, math.inf], 0.0, "undecided"),
        ([1.0, 1.0], 0.0, "reproduced"),
        ([0.0, 0.0], 0.0, "not reproduced"),
    ],
)
def test_verdict(values, line, verdict):
    assert claim(values, line).verdict == verdict


@pytest.mark.parametrize(("values", "word"), [([1.0, 1.1], "yes"), ([-1.0, -1.1], "no"), ([1.0, -1.0], "open")])
def test_a_question_of_our_own_is_answered(values, word):
    assert claim(values, sentence="").verdict == word


@pytest.mark.parametrize("sentence", ["a sentence", ""])
def test_without_power_no_interval_decides(sentence):
    made = claim([1.0, 1.1, 1.2], sentence=sentence, no_power="no headroom")
    assert made.verdict == "no power"
    assert json.loads(made.to_json())["no_power"] == "no headroom"


@pytest.mark.parametrize(
    ("values", "margin", "options", "verdict", "reason"),
    [
        ([-0.01, 0.0, 0.01], 0.1, {}, "no", "no difference beyond 0.10 dB"),
        # The interval reaches beyond the margin, or there is none.
        ([-0.01, 0.0, 0.01], 0.01, {}, "open", ""),
        ([-0.01, 0.0, 0.01], 0.0, {}, "open", ""),
        # Better, by however little, is better, and worse is worse.
        ([0.01, 0.011, 0.012], 0.1, {}, "yes", ""),
        ([-0.01, -0.011, -0.012], 0.1, {}, "no", ""),
        # A line that is not zero asks for more than better or not.
        ([0.29, 0.3, 0.31], 0.5, {"line": 0.3}, "open", ""),
        ([-0.01, 0.0, 0.01], 0.1, {"upper": 1.0}, "open", ""),
        ([-0.01, 0.0, 0.01], 0.1, {"no_power": "no headroom"}, "no power", "no headroom"),
    ],
)
def test_a_difference_that_is_seen_to_be_none_is_no_better(values, margin, options, verdict, reason):
    made = claim(values, sentence="", margin=margin, **options)
    assert (made.verdict, made.reason) == (verdict, reason)
    assert json.loads(made.to_json())["reason"] == reason


def test_interval_is_students_over_seeds_alone():
    low, high = claim([1.0, 2.0, 3.0]).interval
    # t(0.975, 2) = 4.3027, standard error 1 / sqrt(3)
    assert (low, high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (None, "not printed"),
        (16.0, "holds (+16.00 dB)"),
        (15.0, "contradicted (+15.00 dB)"),
        (14.5, "contradicted (+14.50 dB)"),
    ],
)
def test_in_print(printed, words):
    assert claim(line=15.0, printed=printed).in_print == words


def test_measured_in_words():
    assert claim([]).measured == "not run"
    assert claim([1.5]).measured == "+1.50 dB (one seed)"
    assert claim([1.0, 2.0, 3.0]).measured == "+2.00 dB [-0.48, +4.48], 3 seeds"


def test_several_seeds_of_which_one_is_no_number_are_not_called_one_seed():
    assert "one seed" not in claim([1.0, math.nan, 1.2]).measured


def test_json_holds_the_values_and_the_derived_verdicts():
    found = json.loads(claim([1.0, 1.1, 1.2], printed=2.0).to_json())
    assert found["values"] == [1.0, 1.1, 1.2]
    assert found["sentence"] == "a sentence"
    assert found["verdict"] == "reproduced"
    assert found["in_print"] == "holds (+2.00 dB)"
    assert found["measured"].endswith("3 seeds")


def test_the_notebooks_table_has_a_line_per_claim():
    shown = claims_table([claim([1.0, 1.1, 1.2]), claim()]).data
    assert shown.verdict.tolist() == ["reproduced", "undecided"]
    assert shown["in the paper's own table"].tolist() == ["not printed", "not printed"]


class FakeStudy(SRStudy):
    """A name and a paper; its pictures are the values themselves."""

    def __init__(self, name="dietz_t1", paper=dietz.PAPER):
        self.paper, self.table = paper, SimpleNamespace(name=name)
        self.plan = SimpleNamespace(stand_ins={})

    def per_picture(self, results):
        return results


@pytest.fixture
def study():
    return FakeStudy()


def seed_values(rows: dict[str, list[float]], network="EDSR", testset="photos", metric="psnr", image="one") -> pd.DataFrame:
    lines = [
        {"row": row, "network": "bicubic" if row == BICUBIC else network, "seed": None if row == BICUBIC else seed,
         "testset": testset, "image": image, "metric": metric, "value": value}
        for row, values in rows.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def difference(study, values, first=ORIGINAL, second=NOISE, network="EDSR", **options) -> Claim:
    (claim,) = check(study, values, [Question("n", "t", first, second, sentence="s", **options)], [network])
    return claim


def test_differences_are_taken_seed_by_seed(study):
    values = seed_values({ORIGINAL: [34.0, 36.0], NOISE: [20.0, 21.0]})
    assert difference(study, values, line=10.0).values == [14.0, 15.0]


def test_every_test_picture_counts_and_of_the_rest_only_metric_and_student(study):
    values = pd.concat([
        seed_values({ORIGINAL: [34.0, 36.0], NOISE: [20.0, 21.0]}),
        seed_values({ORIGINAL: [34.0, 36.0], NOISE: [30.0, 31.0]}, image="two"),
        seed_values({ORIGINAL: [34.0, 36.0], NOISE: [33.0, 33.0]}, testset="other"),
        seed_values({ORIGINAL: [1.0, 1.0], NOISE: [0.0, 0.0]}, network="SRCNN"),
        seed_values({ORIGINAL: [1.0, 1.0], NOISE: [0.0, 0.0]}, metric="ssim"),
    ])  # fmt: skip
    made = difference(study, values)
    assert made.values == pytest.approx([(14 + 4 + 1) / 3, (15 + 5 + 3) / 3])
    assert made.pictures == 3 and "3 pictures" in made.measured
    low, high = made.interval
    gaps = np.array([[14.0, 4.0, 1.0], [15.0, 5.0, 3.0]])
    assert (low, high) == pytest.approx((crossed_interval(gaps).low, crossed_interval(gaps).high))


def test_the_printed_difference_is_formed_on_set5(study):
    values = seed_values({ORIGINAL: [34.0], NOISE: [20.0]})
    made = difference(study, values)
    assert made.printed == pytest.approx(35.772 - 16.4814)
    assert made.in_print.startswith("holds")


def test_a_row_that_is_not_printed_leaves_the_printed_side_open(study):
    values = seed_values({ORIGINAL: [34.0], "Our control": [20.0]})
    assert difference(study, values, second="Our control").in_print == "not printed"


def test_printed_rows_of_other_tables_and_labels(study):
    values = seed_values({ORIGINAL: [34.0], "Our label": [20.0]})
    made = difference(study, values, second="Our label", printed_second=("dietz_t2", "Baseline (downscaled)"))
    assert made.printed == pytest.approx(35.772 - 35.2664)
    with pytest.raises(ValueError, match="no printed table 'dietz_t9'"):
        difference(study, values, printed_first=("dietz_t9", "Syn. IPC=1"))


def test_a_printed_network_that_did_not_train_is_no_evidence(study):
    values = seed_values({ORIGINAL: [34.0], NOISE: [20.0]}, network="VDSR")
    made = difference(study, values, network="VDSR")
    assert made.in_print == "void, the printed network did not train: its number is that of bicubic"
    assert json.loads(made.to_json())["in_print"] == made.in_print
    trained = difference(study, values, network="VDSR", first="Syn. IPC=10")
    assert trained.in_print.startswith(("holds", "contradicted"))


def test_a_seed_that_one_row_lacks_is_left_out(study):
    values = seed_values({ORIGINAL: [34.0, 36.0, 35.0], NOISE: [20.0, 21.0]})
    assert difference(study, values).values == [14.0, 15.0]


def test_a_row_of_which_every_cell_failed_is_not_run(study):
    made = difference(study, seed_values({ORIGINAL: [34.0, 36.0]}))
    assert made.values == []
    assert made.measured == "not run"
    assert made.verdict == "undecided"


def test_a_claim_against_bicubic_counts_every_seed(study):
    values = seed_values({BICUBIC: [30.0], ORIGINAL: [34.0, 36.0]})
    assert difference(study, values, second=BICUBIC).values == [4.0, 6.0]


def test_every_question_is_asked_of_every_student_in_its_name(study):
    values = pd.concat(seed_values({ORIGINAL: [34.0], NOISE: [20.0 + k]}, network=n) for k, n in enumerate(("SRCNN", "EDSR")))
    questions = [
        Question("drop, {network}", "{network} drops", ORIGINAL, NOISE, line=13.0), Question("other", "rises", NOISE, ORIGINAL),
    ]  # fmt: skip
    found = check(study, values, questions, ["SRCNN", "EDSR"])
    assert [claim.name for claim in found] == ["drop, srcnn", "other", "drop, edsr", "other"]
    assert [claim.statement for claim in found[::2]] == ["SRCNN drops", "EDSR drops"]
    assert [claim.values for claim in found] == [[14.0], [-14.0], [13.0], [-13.0]]
    assert found[0].line == 13.0 and found[0].table == "dietz_t1" and found[0].sentence == ""


def test_other_metrics_and_units(study):
    values = seed_values({ORIGINAL: [0.1, 0.2], NOISE: [0.3, 0.3]}, metric="lpips")
    found = difference(study, values, NOISE, ORIGINAL, metric="lpips_alex", unit="LPIPS", printed_metric="lpips")
    assert found.values == pytest.approx([0.2, 0.1]) and found.unit == "LPIPS"
    assert found.printed == pytest.approx(0.7126 - 0.0886, abs=0.5) and found.void == ""
    assert found.measured.startswith("+0.1500 LPIPS")


def test_a_student_that_is_smaller_here_is_compared_with_the_printed_one(study):
    values = seed_values({ORIGINAL: [34.0], NOISE: [20.0]}, network="Small")
    assert difference(study, values, network="Small").printed is None
    assert difference(study, values, network="Small", printed_network="EDSR").printed == pytest.approx(35.772 - 16.4814)


def test_another_papers_numbers_decide_on_its_own_test_set():
    study = FakeStudy("labelfree_t1", labelfree.PAPER)
    values = seed_values({"Distilled, 140": [25.0], "GSDD, 140": [24.0]}, network="RealSR", metric="ssim")
    found = difference(study, values, "Distilled, 140", "GSDD, 140", "RealSR", metric="ssim")
    printed = labelfree.printed("labelfree_t1")
    theirs = printed[(printed.network == "RealSR") & (printed.metric == "ssim")].set_index("row")["value"]
    assert found.printed == pytest.approx(theirs["Distilled, 140"] - theirs["GSDD, 140"])


def test_claims_of_a_table_are_shown_and_saved(finished):
    study, rows = finished("dietz_t1")
    shown = Presentation(study, rows, study.run(rows))
    questions = [Question("drop-{network}", "full data minus noise, {network}, is more than 1 dB", ORIGINAL, NOISE, line=1.0)]
    table = shown.check(questions, ["EDSR"])
    assert len(table.data) == 1 and table.data.verdict.tolist()[0].startswith("no power (no headroom")
    shown.check(questions, ["SRCNN"])
    shown.save()
    lines = (study.output / "dietz_t1.claims.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["drop-edsr", "drop-srcnn"]
    assert json.loads(lines[0])["printed"] == pytest.approx(35.772 - 16.4814)
