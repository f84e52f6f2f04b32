"""Budgets as people write them, and what is refused with a reason."""

import pytest

from srdistill.distill.budget import parse_bytes, parse_share, tiles_in
from srdistill.distill.problem import DistillError


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5 %", 0.005), (" 100%", 1.0), ("1e-1%", 0.001), ("3.0%", 0.03)])
def test_shares(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("much", "'much' is no percentage; write 1%"),
        ("1", "'1' is no percentage; write 1%"),
        ("", "'' is no percentage"),
        ("one%", "'one%' is no number before the %"),
        ("0,5%", "'0,5%' is no number before the %; write e.g. 1% or 0.5%"),
        ("%", "'%' is no number"),
        ("0%", "'0%' must be above 0 % and at most 100 %"),
        ("-1%", "'-1%' must be above 0 %"),
        ("100.1%", "'100.1%' must be above 0 % and at most 100 %"),
        ("nan%", "'nan%' must be above 0 %"),
        ("inf%", "'inf%' must be above 0 %"),
    ],
)
def test_shares_that_are_none(text, message):
    with pytest.raises(DistillError, match=message):
        parse_share(text)


@pytest.mark.parametrize(
    ("text", "size"), [("5MB", 5_000_000), ("500 kB", 500_000), ("2MiB", 2 << 20), ("1234", 1234), ("1.5kb", 1500)]
)
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-5MB", "5 parsecs", "5%", "1e3", "MB"])
def test_sizes_that_are_none(text):
    with pytest.raises(DistillError, match="is no size; write e.g. 500kB"):
        parse_bytes(text)


def test_a_size_of_nothing():
    with pytest.raises(DistillError, match="'0MB' must be 1 byte or more"):
        parse_bytes("0MB")


def test_tiles_are_rounded_down_but_not_by_floats():
    assert tiles_in(0.01, 100 * 96 * 96, 96) == 1
    assert tiles_in(0.07, 100 * 96 * 96, 96) == 7
    assert tiles_in(0.0799, 100 * 96 * 96, 96) == 7


def test_less_than_one_tile_says_how_much_is_needed():
    with pytest.raises(DistillError, match=r"1 % of 100,000 pixels is 1,000, less than one tile of 96 x 96 = 9,216") as said:
        tiles_in(0.01, 100_000, 96)
    assert "ask for 9.216% or more" in str(said.value)
    assert tiles_in(0.09216, 100_000, 96) == 1
    with pytest.raises(DistillError, match="use more pictures or smaller tiles"):
        tiles_in(1, 1000, 96)
