"""Scores of several trainings that differ in their seed: mean, spread, interval, and paired differences."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95  # of every interval


class Interval(NamedTuple):
    """n: values that are defined. mean, sd (of n - 1) and the ends of the 95 % interval of the mean.

    sd and ends are NaN of one value, everything is of none.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float


class Paired(NamedTuple):
    """Differences of pairs: n, mean, sd and 95 % interval as `Interval` has them.

    p_t: of a paired t test. p_wilcoxon: of Wilcoxon's signed ranks. Both two-sided, and NaN where they are not defined,
    as of one pair or of pairs that are all alike.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p_t: float
    p_wilcoxon: float


def interval(values: Sequence[float] | np.ndarray, overlap: float = 0.0) -> Interval:
    """Of the values that are defined: mean -+ t(0.975, n - 1) sd / sqrt(n), Student's interval of the mean.

    overlap: of scores of folds, which learn from one another's samples, how many samples are for validation for each
    that is learned, 1 / (folds - 1): sqrt(1 / n) is sqrt(1 / n + overlap) then (Nadeau & Bengio 2003).
    """
    found = np.asarray(values, np.float64)
    found = found[np.isfinite(found)]
    n = len(found)
    if n == 0:
        return Interval(0, *[math.nan] * 4)
    mean = float(found.mean())
    if n == 1:
        return Interval(1, mean, *[math.nan] * 3)
    from scipy.special import stdtrit  # half a second of imports, for a table at the end

    sd = float(found.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd * math.sqrt(1 / n + overlap)
    return Interval(n, mean, sd, mean - half, mean + half)


def paired(
    one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray, overlap: float = 0.0
) -> Paired:
    """Of `one` minus `other`, value by value; pairs of which a side is undefined are left out.

    overlap: as `interval` has it, for the t test too. Wilcoxon's knows of no such thing: its p is NaN then.
    """
    difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    difference = difference[np.isfinite(difference)]
    found = interval(difference, overlap)
    ranks = math.nan if overlap else _wilcoxon(difference)
    if found.n < 2 or not np.ptp(difference):  # t is 0/0, or infinite of a difference without spread
        return Paired(*found, math.nan, ranks)
    from scipy.special import stdtr

    t = found.mean / (found.sd * math.sqrt(1 / found.n + overlap))
    return Paired(*found, 2 * float(stdtr(found.n - 1, -abs(t))), ranks)


def _wilcoxon(difference: np.ndarray) -> float:
    """Pairs without a difference have no rank; of none with one there is no p."""
    differing = difference[difference != 0]
    if len(differing) < 2:
        return math.nan
    from scipy.stats import wilcoxon

    return float(wilcoxon(differing).pvalue)
