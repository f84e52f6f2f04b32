"""Intervals that count seeds and test pictures: how far a difference would move with other seeds and other pictures.

Three seeds say little about their own spread: by luck they lie close together or far apart, so an interval may be a third or
three times as wide on another machine. What the rows of a table usually differ by from seed to seed is known better, and the
two are weighed as Smyth does (*Linear models and empirical Bayes methods*, 2004, sections 3 and 6.2).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

CONFIDENCE = 0.95
# Squares that scatter by no more than this beyond chance are taken for alike.
_ALIKE = 1e-6


@dataclass(frozen=True)
class Interval:
    """``mean``: of all differences. ``low``, ``high``: of its 95 % interval; ``p``: two-sided, that the true difference is the
    line. All NaN but the mean where there is one seed."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Spread:
    """A mean square between seeds that is usual in a table, worth as much as ``freedom`` degrees of freedom."""

    square: float
    freedom: float


def usual_spread(differences: Iterable[np.ndarray], most: float) -> Spread | None:
    """What the differences of a table, each (seeds, pictures), have in common; None if fewer than three of them have a spread.

    Their squares scatter by chance, each by its own degrees of freedom; the more they scatter beyond that, the less is one like
    another, and the less the usual one counts. ``most``: as many degrees of freedom as the table has.
    """
    found = [(_between_seeds(values), len(values) - 1) for values in differences if len(values) > 1]
    found = [(square, freedom) for square, freedom in found if math.isfinite(square) and square > 0]
    if len(found) < 3:
        return None
    squares, half = np.array([square for square, _ in found]), np.array([freedom for _, freedom in found]) / 2
    logs = np.log(squares) - special.digamma(half) + np.log(half)
    excess = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    freedom = most if excess < _ALIKE else min(most, 2 * _where_trigamma_is(excess))
    return Spread(math.exp(logs.mean() + special.digamma(freedom / 2) - math.log(freedom / 2)), freedom)


def _where_trigamma_is(value: float) -> float:
    return math.exp(optimize.brentq(lambda x: float(special.polygamma(1, math.exp(x))) - value, -20, 20))


def crossed_interval(differences: np.ndarray, line: float = 0.0, usual: Spread | None = None) -> Interval:
    """The interval of the mean of ``differences`` (seeds, pictures), both of which are samples of what they could have been.

    Seeds and pictures are crossed random effects without repetition: with the mean squares of the two-way analysis of variance,
    the variance of the mean is (MS_seeds + MS_pictures - MS_rest) / (seeds x pictures), never less than either alone gives;
    Student's t with Satterthwaite's degrees of freedom. A bootstrap over three seeds would see a third too little variance.
    One picture: seeds alone count. ``usual``: what else is known of the mean square of seeds.

    Raises ValueError: another shape.
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"differences are (seeds, pictures), got {values.shape}")
    mean = float(values.mean())
    seeds, pictures = values.shape
    if seeds < 2 or not np.isfinite(values).all():
        return Interval(mean, math.nan, math.nan, math.nan)
    variance, freedom = _variance_of_the_mean(values, usual)
    if variance == 0:
        return Interval(mean, mean, mean, 0.0 if mean != line else 1.0)
    error = math.sqrt(variance)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    return Interval(mean, mean - reach, mean + reach, float(2 * stats.t.sf(abs(mean - line) / error, freedom)))


def interval_of_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Ends of the 95 % interval of the mean of two or more seeds by Student's t, pictures taken as given: what plots draw."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * error
    return mean - reach, mean + reach


def _between_seeds(values: np.ndarray) -> float:
    """The mean square of seeds."""
    return float(values.shape[1] * values.mean(1).var(ddof=1))


def _variance_of_the_mean(values: np.ndarray, usual: Spread | None) -> tuple[float, float]:
    """The variance, and its degrees of freedom."""
    seeds, pictures = values.shape
    by_seed, known = _between_seeds(values), seeds - 1.0
    if usual is not None:
        by_seed = (known * by_seed + usual.freedom * usual.square) / (known + usual.freedom)
        known += usual.freedom
    if pictures == 1:
        return by_seed / seeds, known
    by_picture = seeds * values.mean(0).var(ddof=1)
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    within = (rest**2).sum() / ((seeds - 1) * (pictures - 1))
    total = by_seed + by_picture - within
    least = max((by_seed, known), (by_picture, pictures - 1))
    if total <= least[0]:
        return least[0] / (seeds * pictures), least[1]
    freedom = total**2 / (
        by_seed**2 / known + by_picture**2 / (pictures - 1) + within**2 / ((seeds - 1) * (pictures - 1))
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
