"""Scores of numbers: correlation, explained variance, R2 and squared error of each target."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from submit.blocks import by_block
from submit.errors import SubmissionError

Constant = Literal["zero", "nan", "drop"]


def pearson(pred: np.ndarray, truth: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """Pearson correlation: sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2), (t,)."""

    def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = x - x.mean(0), y - y.mean(0)
        r = (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0))
        return np.clip(r, -1.0, 1.0)

    return per_target(correlation, pred, truth, constant, both=True)


def explained_variance(pred: np.ndarray, truth: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """1 - Var(y - yhat) / Var(y), (t,): NX-414's "var"; scikit-learn's explained_variance_score, raw values.

    Unlike R2 it does not see a bias of the predictions.
    """
    return per_target(lambda x, y: 1.0 - (y - x).var(0) / y.var(0), pred, truth, constant)


def r2(pred: np.ndarray, truth: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """1 - sum (y - yhat)^2 / sum (y - mean y)^2, (t,): the coefficient of determination."""
    return per_target(
        lambda x, y: 1.0 - ((y - x) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0), pred, truth, constant
    )


def mse(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """mean (y - yhat)^2, (t,): the mean squared error; infinite or NaN where a value is not finite."""
    return by_block(lambda x, y: ((y - x) ** 2).mean(0), *paired_arrays(pred, truth))


def undefined(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(t,) bool: the targets whose correlation is undefined, constant or not finite on either side."""
    pred, truth = paired_arrays(pred, truth)
    return degenerate(pred) | degenerate(truth)


def fill_undefined(values: np.ndarray, without: np.ndarray, constant: Constant) -> np.ndarray:
    """values (t,) with 0 or NaN for the targets (t,) `without` a score, or with those left out ("drop")."""
    if constant == "drop":
        return values[~without]
    if constant not in ("zero", "nan"):
        raise SubmissionError(f"constant: expected 'zero', 'nan' or 'drop'; found {constant!r}.")
    return np.where(without, 0.0 if constant == "zero" else np.nan, values)


def degenerate(values: np.ndarray) -> np.ndarray:
    """(t,) bool: which columns of (n, t) are constant or hold a value that is not finite."""
    low, high = values.min(0), values.max(0)  # a NaN comes through as NaN
    return ~(np.isfinite(low) & np.isfinite(high)) | (low == high)


def paired_arrays(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (n, t). Raises SubmissionError for shapes that differ, and for no sample."""
    pred, truth = np.asarray(pred), np.asarray(truth)
    if pred.shape != truth.shape or pred.ndim != 2 or not len(pred):
        raise SubmissionError(
            f"expected predictions and truth of one shape (samples, targets); found {pred.shape} and {truth.shape}."
        )
    return pred, truth


def per_target(
    score: Callable[..., np.ndarray],
    pred: np.ndarray,
    truth: np.ndarray,
    constant: Constant,
    both: bool = False,
) -> np.ndarray:
    """(t,) `score` of each block, filled where there is none. both: whether a constant prediction has none either."""
    pred, truth = paired_arrays(pred, truth)
    values = by_block(score, pred, truth)
    without = degenerate(truth) | (degenerate(pred) if both else ~np.isfinite(pred).all(0))
    return fill_undefined(values, without, constant)
