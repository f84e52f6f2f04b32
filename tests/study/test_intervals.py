"""Intervals over seeds and test pictures: by hand, by simulation, and what they refuse."""

import math

import numpy as np
import pytest
from scipy import stats

from srdistill.study.verdicts.intervals import Spread, crossed_interval, holm, usual_spread


def test_one_picture_is_students_t_over_seeds():
    values = np.array([[0.1], [0.3], [0.35], [0.2]])
    found = crossed_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values[:, 0]))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(values[:, 0], 0).pvalue)


def test_pictures_that_differ_widen_the_interval():
    seeds = np.array([0.1, 0.12, 0.11])
    alike, apart = np.zeros(4), np.array([-1.0, 1.0, -0.8, 0.8])
    narrow, wide = (crossed_interval(seeds[:, None] + pictures) for pictures in (alike, apart))
    assert narrow.mean == pytest.approx(wide.mean)
    assert narrow.low > 0 > wide.low


def test_never_narrower_than_seeds_or_pictures_alone():
    draws = np.random.default_rng(0)
    for _ in range(50):
        values = draws.normal(size=(3, 5)) + draws.normal(size=(3, 1)) + draws.normal(size=5)
        found = crossed_interval(values)
        assert found.high - found.low >= 2 * 1.96 * max(stats.sem(values.mean(1)), 0) * 0.99


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        values = 0.5 + 0.3 * draws.normal(size=(3, 1)) + 0.5 * draws.normal(size=6) + 0.2 * draws.normal(size=(3, 6))
        found = crossed_interval(values)
        held += found.low <= 0.5 <= found.high
    assert held / 2000 >= 0.94


def rows_of_a_table(draws, spreads, pictures=6):
    """Three seeds of each row; the seeds of a row differ by its spread."""
    return [0.5 + s * draws.normal(size=(3, 1)) + 0.05 * draws.normal(size=(3, pictures)) for s in spreads]


def test_rows_alike_pool_their_seeds_and_rows_apart_do_not():
    draws = np.random.default_rng(2)
    alike = usual_spread(rows_of_a_table(draws, [0.3] * 2000), most=4000)
    apart = usual_spread(rows_of_a_table(draws, 10.0 ** draws.uniform(-2, 2, 40)), most=80)
    assert alike.freedom > 20 and alike.square == pytest.approx(6 * 0.3**2, rel=0.4)
    assert apart.freedom < 2
    assert usual_spread(rows_of_a_table(draws, [0.3] * 40), most=5).freedom == 5


def test_what_is_usual_is_unknown_from_few_rows_or_without_a_spread():
    draws = np.random.default_rng(3)
    two = rows_of_a_table(draws, [0.3, 0.3])
    assert usual_spread(two, most=4) is None
    assert usual_spread([*two, np.ones((3, 6)), np.ones((1, 6))], most=4) is None


def test_with_what_is_usual_intervals_hold_as_often_and_scatter_less():
    draws = np.random.default_rng(4)
    held, alone, together = 0, [], []
    for _ in range(60):
        rows = rows_of_a_table(draws, [0.3] * 10)
        usual = usual_spread(rows, most=20)
        for row in rows:
            found = crossed_interval(row, usual=usual)
            held += found.low <= 0.5 <= found.high
            together.append(found.high - found.low)
            alone.append(crossed_interval(row).high - crossed_interval(row).low)
    assert 0.93 <= held / 600 <= 0.98
    assert np.std(np.log(together)) < 0.5 * np.std(np.log(alone))


def test_seeds_that_agree_by_luck_are_not_believed():
    values = np.array([[1.0], [1.01], [1.02]])
    believed, doubted = crossed_interval(values), crossed_interval(values, usual=Spread(0.25, 4.0))
    assert believed.low > 0.9 and doubted.low < 0.5


def test_one_seed_decides_nothing():
    found = crossed_interval(np.array([[1.0, 2.0]]))
    assert found.mean == 1.5 and all(map(math.isnan, (found.low, found.high, found.p)))


def test_equal_differences_are_a_point():
    found = crossed_interval(np.full((3, 4), 0.2))
    assert (found.low, found.high) == pytest.approx((0.2, 0.2)) and found.p < 1e-9


def test_p_is_of_the_line():
    values = np.array([[0.9], [1.1], [1.0]])
    assert crossed_interval(values, line=1.0).p == pytest.approx(1.0)
    assert crossed_interval(values, line=0.0).p < 0.01


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 0)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="seeds, pictures"):
        crossed_interval(np.zeros(shape))


def test_holm_by_hand():
    # 0.01 <= 0.05 / 4, 0.015 <= 0.05 / 3, 0.03 > 0.05 / 2, so 0.04 falls too.
    assert holm([0.04, 0.01, 0.03, 0.015, math.nan]) == [False, True, False, True, False]
    assert holm([]) == []
