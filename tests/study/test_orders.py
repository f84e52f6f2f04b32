"""Which rows come in the printed order."""

import pandas as pd
import pytest

from srdistill.study.overviews.orders import orders, write_orders


@pytest.fixture
def lines() -> pd.DataFrame:
    """In print A > B > C = D; here B > A > C > D. A stands on two test sets."""
    rows = [("A", 88.0, 40.0), ("A", 92.0, 50.0), ("B", 70.0, 60.0), ("C", 10.0, 20.0), ("D", 10.0, 5.0)]
    frame = pd.DataFrame(rows, columns=["row", "printed", "ours"])
    return frame.assign(paper="dietz", table="dietz_t4", network="EDSR", quantity="recovered gain, %")


def test_pairs_are_counted_and_those_that_turn_are_named(lines):
    (line,) = orders(lines).itertuples()
    # C and D are one in print, so that pair has no order to come back.
    assert (line.pairs, line.alike) == (5, 4)
    assert line.turned == [("A", "B", pytest.approx(20), pytest.approx(-15))]


def test_the_better_one_in_print_stands_first_whatever_the_order_of_rows(lines):
    (line,) = orders(lines.iloc[::-1]).itertuples()
    assert line.turned == [("A", "B", pytest.approx(20), pytest.approx(-15))]


def test_students_and_tables_are_not_mixed(lines):
    other = lines.assign(network="SRCNN", ours=-lines.ours)
    found = orders(pd.concat([lines, other]))
    assert list(zip(found.network, found.alike, strict=True)) == [("EDSR", 4), ("SRCNN", 1)]


def test_the_page_names_the_pairs(lines, tmp_path):
    text = write_orders(lines, tmp_path, "desktop").read_text()
    assert "## Dietz table 4" in text and "4 of 5 pairs come in the printed order" in text
    assert "| A | B | +20 | -15 |" in text
