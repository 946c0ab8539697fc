"""Scores of targets made into one: what is undefined counts as 0 beside others, and alone it is no score at all.

As the challenges have it, a target whose score is undefined (constant, or predicted so) counts as 0. Where there is
nothing but such targets that 0 would be the score of a perfect prediction too, so that nothing may be chosen by it: the
score is NaN then.
"""

from collections.abc import Callable

import numpy as np


def mean(each: np.ndarray) -> float:
    """Of (t,) scores, NaN where undefined; NaN where all are."""
    undefined = np.isnan(each)
    return float("nan") if undefined.all() else float(np.where(undefined, 0.0, each).mean())


def of_known(each: np.ndarray, aggregate: Callable[[np.ndarray], np.floating]) -> float:
    """Of the (t,) that are defined alone, for what has no value that stands for a failure; NaN where none is."""
    known = each[~np.isnan(each)]
    return float(aggregate(known)) if len(known) else float("nan")


def median(each: np.ndarray) -> float:
    """The same; NaN where more than half are undefined, which makes their 0 the median whatever the others are, and of
    none.
    """
    undefined = np.isnan(each)
    if not len(each) or 2 * undefined.sum() > len(each):
        return float("nan")
    return float(np.median(np.where(undefined, 0.0, each)))
