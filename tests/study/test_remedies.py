"""What would decide a claim, by the reason why it is open."""

import pytest

from srdistill.study.verdicts.remedies import remedy


def claim(**changes):
    return {"verdict": "undecided", "no_power": "", "interval": [-0.1, 0.3], "line": 0.0, "upper": None} | changes


@pytest.mark.parametrize("verdict", ["reproduced", "not reproduced", "yes", "no"])
def test_a_decided_claim_needs_nothing(verdict):
    assert remedy(claim(verdict=verdict)) == ""


@pytest.mark.parametrize(
    ("reason", "words"),
    [("no headroom: full data is +0.10 dB", "gain more on full data"), ("vacuous: bicubic passes", "leaves to bicubic"),
     ("stand-in: a small one", "profile `paper`"), ("LPIPS is not measured", "missing metric")],
)  # fmt: skip
def test_no_power_has_a_remedy_by_its_reason(reason, words):
    assert words in remedy(claim(verdict="no power", no_power=reason))


def test_an_interval_has_to_shrink_to_the_distance_of_its_mean_from_the_line():
    # Mean 0.1, reach 0.2: half as wide, which four times as many give.
    assert remedy(claim()) == "an interval 2.0 times as narrow: some 4 times as many seeds and test pictures"
    assert remedy(claim(line=0.2)) == remedy(claim(line=-5.0, upper=0.2)) == remedy(claim(verdict="open"))


def test_what_lies_on_the_line_cannot_be_decided_by_more_of_the_same():
    assert remedy(claim(line=0.1)).startswith("nothing affordable")
    assert remedy(claim(interval=None)) == "more than one seed"
