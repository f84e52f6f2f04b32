"""Intervals that count seeds and test pictures: how far a difference would move with other seeds and other pictures."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """``mean``: of all differences. ``low``, ``high``: of its 95 % interval; ``p``: two-sided, that the true difference is the
    line. All NaN but the mean where there is one seed."""

    mean: float
    low: float
    high: float
    p: float


def crossed_interval(differences: np.ndarray, line: float = 0.0) -> Interval:
    """The interval of the mean of ``differences`` (seeds, pictures), both of which are samples of what they could have been.

    Seeds and pictures are crossed random effects without repetition: with the mean squares of the two-way analysis of variance,
    the variance of the mean is (MS_seeds + MS_pictures - MS_rest) / (seeds x pictures), never less than either alone gives;
    Student's t with Satterthwaite's degrees of freedom. A bootstrap over three seeds would see a third too little variance.
    One picture: seeds alone count.
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"differences are (seeds, pictures), got {values.shape}")
    mean = float(values.mean())
    seeds, pictures = values.shape
    if seeds < 2 or not np.isfinite(values).all():
        return Interval(mean, math.nan, math.nan, math.nan)
    variance, freedom = _variance_of_the_mean(values)
    if variance == 0:
        return Interval(mean, mean, mean, 0.0 if mean != line else 1.0)
    error = math.sqrt(variance)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    return Interval(mean, mean - reach, mean + reach, float(2 * stats.t.sf(abs(mean - line) / error, freedom)))


def _variance_of_the_mean(values: np.ndarray) -> tuple[float, float]:
    """The variance, and its degrees of freedom."""
    seeds, pictures = values.shape
    by_seed = pictures * values.mean(1).var(ddof=1)
    if pictures == 1:
        return by_seed / seeds, seeds - 1
    by_picture = seeds * values.mean(0).var(ddof=1)
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    within = (rest**2).sum() / ((seeds - 1) * (pictures - 1))
    total = by_seed + by_picture - within
    least = max((by_seed, seeds - 1), (by_picture, pictures - 1))
    if total <= least[0]:
        return least[0] / (seeds * pictures), least[1]
    freedom = total**2 / (
        by_seed**2 / (seeds - 1) + by_picture**2 / (pictures - 1) + within**2 / ((seeds - 1) * (pictures - 1))
    )
    return total / (seeds * pictures), freedom


def holm(p_values: list[float], level: float = 1 - CONFIDENCE) -> list[bool]:
    """Which of several differences stay clear of their line when all are looked at together (Holm 1979); NaN never does."""
    order = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    kept = [False] * len(p_values)
    for rank, (p, index) in enumerate(order):
        if p > level / (len(order) - rank):
            break
        kept[index] = True
    return kept
