"""Intervals over seeds and test pictures: by hand, by simulation, and what they refuse."""

import math

import numpy as np
import pytest
from scipy import stats

from srdistill.study.verdicts.intervals import crossed_interval, holm


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
