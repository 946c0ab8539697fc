"""How far predictions are spread: scores of their distribution, whichever sample has which value."""

import numpy as np

from submit.blocks import above_lowest, by_block
from submit.metrics.regression import Constant, paired_arrays, per_target


def spread_ratio(pred: np.ndarray, truth: np.ndarray, constant: Constant = "nan") -> np.ndarray:
    """sd(yhat) / sd(y) over samples, (t,): 1 where predictions are spread as the truth is, 0 where they are constant.

    Undefined for a truth that is constant or not finite, and for predictions that are not finite. The best prediction
    of a response with noise has sqrt(ceiling), the spread of its signal: `noise_normalised` of it has 1.
    """
    return per_target(lambda x, y: _deviation(x) / _deviation(y), pred, truth, constant)


def _deviation(block: np.ndarray) -> np.ndarray:
    """(b,), exactly 0 of a constant, whose mean may be rounded."""
    return above_lowest(block).std(0)


def ks_distance(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """max over v of |F(v) - G(v)|, (t,) in 0 to 1, with F and G the shares of yhat and y that are at most v.

    The statistic of Kolmogorov (1933) and Smirnov (1939) for two samples, of each target; NaN where a value of either
    side is not finite. It sees a difference of means as well as one of spread or shape.
    """
    pred, truth = paired_arrays(pred, truth)
    return by_block(_ks, pred, truth)


def _ks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ks_of_known(x, y, np.ones(x.shape, bool))


def ks_of_known(x: np.ndarray, y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`ks_distance` (b,) of (n, b) float64 each, over the values that are `known` (n, b) bool.

    It is the largest step between two cumulative counts, looked at where a run of ties ends.
    """
    n = len(x)
    values = np.concatenate([x, y]).T  # (b, 2n), a target's values side by side in memory
    counted = np.concatenate([known, known]).T
    finite = (np.isfinite(values) | ~counted).all(1)
    order = values.argsort(axis=1)
    values = np.take_along_axis(values, order, axis=1)
    steps = np.where(order < n, 1, -1) * np.take_along_axis(counted, order, axis=1)
    ahead = np.cumsum(steps, axis=1)
    last = np.ones(values.shape, bool)
    last[:, :-1] = values[:, :-1] != values[:, 1:]
    count = known.sum(0)
    distance = np.where(last, np.abs(ahead), 0).max(1) / np.maximum(count, 1)
    return np.where(finite & (count > 0), distance, np.nan)
