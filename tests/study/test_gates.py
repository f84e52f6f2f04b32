"""Gates: what has no power, and why; and what has."""

import pandas as pd
import pytest

from srdistill.study.rows import BICUBIC, ORIGINAL, Results
from srdistill.study.sr import SRStudy
from srdistill.study.verdicts.claims import NO, NO_POWER, OPEN, REPRODUCED, YES, Claim
from srdistill.study.verdicts.gates import Headroom
from srdistill.study.verdicts.questions import Question, check

BASE = 30.0


class _Plan:
    stand_ins = {"generator": "a small one"}


class _Printed:
    printed_on = ("set5",)

    @staticmethod
    def printed(table):
        return pd.DataFrame(columns=["row", "network", "testset", "metric", "value"])


class _Study(SRStudy):
    """No pictures, no store: scores are made up."""

    def __init__(self):
        self.plan, self.paper = _Plan(), _Printed()

    @property
    def name(self):
        return "dietz_t1"


def results(**gains: float) -> Results:
    """PSNR of bicubic 30 dB on three pictures, of each row that much above, with seeds that differ a little."""
    lines = [{"row": BICUBIC, "network": "bicubic", "seed": None, "testset": "t", "image": f"p{i}", "psnr": BASE + i}
             for i in range(3)]  # fmt: skip
    for row, gain in gains.items():
        lines += [
            {"row": row.replace("_", " "), "network": "EDSR", "seed": seed, "testset": "t", "image": f"p{i}",
             "psnr": BASE + i + gain + 0.01 * seed * (i - 1) + 0.002 * seed}
            for seed in range(3) for i in range(3)
        ]  # fmt: skip
    frame = pd.DataFrame(lines).replace({"full": ORIGINAL})
    return Results([], ["EDSR"], 2, frame, [], 0, 0.0)


def asked(found: Results, **question) -> Claim:
    q = Question("q-{network}", "{network}: a beats b", "a", "b", **question)
    (claim,) = check(_Study(), found, [q], ["EDSR"])
    return claim


def test_with_headroom_a_clear_difference_decides():
    claim = asked(results(full=1.0, a=0.8, b=0.2), sentence="a is better")
    assert (claim.verdict, claim.no_power) == (REPRODUCED, "")
    assert asked(results(full=1.0, a=0.8, b=0.2)).verdict == YES


def test_equal_rows_answer_no_by_the_margin_and_its_own_p():
    """A fifth of the least headroom, 0.1 dB; p is that of a difference as large as that."""
    claim = asked(results(full=1.0, a=0.8, b=0.8))
    assert claim.margin == pytest.approx(0.1)
    assert asked(results(full=1.0, a=0.8, b=0.79)).margin == pytest.approx(0.1)
    found = results(full=1.0, a=0.8, b=0.8)
    shift = found.scores.seed.map({0: 0.01, 1: -0.01, 2: 0.0}).where(found.scores.row == "a", 0.0)
    found.scores["psnr"] += shift.fillna(0)
    claim = asked(found)
    assert claim.interval[0] < 0 < claim.interval[1] and (claim.verdict, claim.equal) == (NO, True)
    assert 0 < claim.p < 0.05


@pytest.mark.parametrize("gain", [0.0, 0.3, 0.49])
def test_a_student_without_headroom_decides_nothing(gain):
    claim = asked(results(full=gain, a=0.2, b=0.1))
    assert claim.verdict == NO_POWER and claim.no_power.startswith("no headroom")


def test_headroom_has_to_be_clear_of_the_seeds():
    assert Headroom(0.6, 0.1, 0.5, "dB").clear and not Headroom(0.6, 0.3, 0.5, "dB").clear


def test_headroom_is_that_of_the_metric_that_is_asked():
    """A GAN loses PSNR against bicubic and gains in LPIPS: the one decides nothing, the other does."""
    found = results(full=-1.0, a=-0.8, b=-1.2)
    lpips = {BICUBIC: 0.5, ORIGINAL: 0.3, "a": 0.32, "b": 0.36}
    found.scores["lpips"] = found.scores.row.map(lpips) + 0.001 * found.scores.seed.fillna(0)
    assert asked(found).no_power.startswith("no headroom: full data is -1.00 ± 0.00 dB")
    assert asked(found, metric="lpips_alex", unit="LPIPS", line=0.0).verdict == NO
    found.scores["lpips"] = found.scores.row.map(lpips | {ORIGINAL: 0.49})
    assert "+0.0100 ± 0.0000 of LPIPS" in asked(found, metric="lpips_alex", unit="LPIPS", line=0.0).no_power


def test_bicubic_in_the_winners_place_is_vacuous():
    assert asked(results(full=1.0, a=0.5, b=-2.0)).no_power.startswith("vacuous: bicubic")
    # Losing less than 1 dB where full data has less than that over bicubic.
    assert asked(results(full=0.8, a=0.1, b=0.8), line=-1.0).no_power.startswith("vacuous")


def test_of_a_loser_it_says_something_that_bicubic_beats_it():
    claim = asked(results(full=1.0, a=0.9, b=-15.5), line=15.0, about="loser", sentence="drops by more than 15 dB")
    assert claim.verdict == REPRODUCED
    # And without headroom too: that it lies below bicubic needs none.
    assert asked(results(full=0.1, a=0.1, b=-15.5), line=15.0, about="loser", sentence="drops").verdict == REPRODUCED


def test_a_sentence_about_a_stand_in_decides_nothing_but_our_question_does():
    found = results(full=1.0, a=0.8, b=0.2)
    assert asked(found, sentence="GANs are good", stand_in="generator").no_power == "stand-in: a small one"
    assert asked(found, stand_in="generator").verdict == YES
    assert asked(found, sentence="something else", stand_in="engine").verdict == REPRODUCED


def test_an_upper_bound_counts():
    assert asked(results(full=3.0, a=0.7, b=0.2), upper=1.0).verdict == YES
    assert asked(results(full=3.0, a=2.7, b=0.2), upper=1.0).verdict == "no"


def test_a_row_that_failed_is_not_run():
    claim = asked(results(full=1.0, a=0.8))
    assert (claim.verdict, claim.measured) == (OPEN, "not run")


def test_a_metric_that_a_profile_leaves_out_has_no_power():
    claim = asked(results(full=1.0, a=0.8, b=0.2), metric="lpips_alex", sentence="LPIPS is lower")
    assert (claim.verdict, claim.no_power) == ("no power", "LPIPS is not measured in this profile")


def test_about_is_checked():
    with pytest.raises(ValueError, match="winner, loser"):
        Question("q", "s", "a", "b", about="nobody")
