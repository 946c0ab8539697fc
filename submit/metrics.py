"""Reference definitions of the scores, in float64.

Arrays are (samples, targets), predictions first, and a score has one value a target. Targets are taken a
few hundred at a time, so that the memory used beside the input stays small however many there are.

A target has no defined score when the truth (for a correlation, also the prediction) is constant or holds a value that
is not finite. `constant` says what becomes of it: "zero", "nan" or "drop" (left out of the result); `undefined`
tells which targets those are.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from submit.errors import SubmissionError, named

Constant = Literal["zero", "nan", "drop"]

_CELLS = 2**19  # values of each input taken to float64 at a time


def pearson(pred: np.ndarray, truth: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """Pearson correlation: sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2), (t,)."""

    def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = x - x.mean(0), y - y.mean(0)
        r = (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0))
        return np.clip(r, -1.0, 1.0)

    return _per_target(correlation, pred, truth, constant, both=True)


def explained_variance(pred: np.ndarray, truth: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """1 - Var(y - yhat) / Var(y), (t,): NX-414's "var"; scikit-learn's explained_variance_score, raw values.

    Unlike R2 it does not see a bias of the predictions.
    """
    return _per_target(lambda x, y: 1.0 - (y - x).var(0) / y.var(0), pred, truth, constant)


def r2(pred: np.ndarray, truth: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """1 - sum (y - yhat)^2 / sum (y - mean y)^2, (t,): the coefficient of determination."""
    return _per_target(
        lambda x, y: 1.0 - ((y - x) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0), pred, truth, constant
    )


def mse(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """mean (y - yhat)^2, (t,): the mean squared error; NaN where a value is not finite."""
    return _by_block(lambda x, y: ((y - x) ** 2).mean(0), *_pair(pred, truth))


def undefined(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(t,) bool: the targets whose correlation is undefined, constant or not finite on either side."""
    pred, truth = _pair(pred, truth)
    return _degenerate(pred) | _degenerate(truth)


def noise_normalised(r: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """r / sqrt(ceiling) over the targets with ceiling > 0.

    r: (t,) correlations. ceiling: (t,) share of the variance that is signal, 0 to 1, in the same order.
    Raises SubmissionError for another length, and for NaN or values outside 0 to 1, with their positions.
    """
    r, ceiling = np.asarray(r, np.float64), np.asarray(ceiling)
    if ceiling.shape != r.shape or ceiling.dtype.kind not in "fiu":
        raise SubmissionError(
            f"ceiling: expected {r.size:,} numbers, one a target in the solution's column order; "
            f"found {ceiling.dtype} of shape {ceiling.shape}."
        )
    ceiling = ceiling.astype(np.float64)
    bad = np.flatnonzero(~((ceiling >= 0) & (ceiling <= 1)))
    if len(bad):
        raise SubmissionError(
            "ceiling: expected shares of the variance between 0 and 1 (not percent); found "
            f"{', '.join(f'{ceiling[i]:g}' for i in bad[:5])} at position {named(bad, len(bad))}."
        )
    return r[ceiling > 0] / np.sqrt(ceiling[ceiling > 0])


def top_k_accuracy(scores: np.ndarray, truth: np.ndarray, k: int) -> float:
    """The share of samples whose true class is among the k highest scores.

    scores: (n, classes). truth: (n,) class numbers. Of equal scores the class listed first ranks higher, as in
    arg-max; a sample with a score that is not finite counts as wrong.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    if scores.ndim != 2 or truth.shape != scores.shape[:1] or not len(truth):
        raise SubmissionError(
            f"expected scores (n, classes) and truth (n,), n > 0; found {scores.shape}, {truth.shape}."
        )
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < truth[:, None]
    rank = ((scores > own) | ((scores == own) & earlier)).sum(1)
    return float(((rank < k) & np.isfinite(scores).all(1)).mean())


def accuracy(pred: np.ndarray, truth: np.ndarray) -> float:
    """The share of samples whose predicted class, a name or a number, equals the true one. Both (n,)."""
    pred, truth = np.asarray(pred), np.asarray(truth)
    if pred.shape != truth.shape or pred.ndim != 1 or not len(truth):
        raise SubmissionError(
            f"expected two lists of classes of one length; found shapes {pred.shape}, {truth.shape}."
        )
    return float((pred == truth).mean())


def _pair(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pred, truth = np.asarray(pred), np.asarray(truth)
    if pred.shape != truth.shape or pred.ndim != 2 or not len(pred):
        raise SubmissionError(
            f"expected predictions and truth of one shape (samples, targets); found {pred.shape} and {truth.shape}."
        )
    return pred, truth


def _by_block(score: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    n, t = arrays[0].shape
    step = max(1, _CELLS // n)
    with np.errstate(all="ignore"):  # what is undefined is replaced by the caller
        blocks = (tuple(a[:, i : i + step].astype(np.float64) for a in arrays) for i in range(0, t, step))
        return np.concatenate([score(*block) for block in blocks]) if t else np.empty(0)


def _degenerate(values: np.ndarray) -> np.ndarray:
    low, high = values.min(0), values.max(0)  # a NaN comes through as NaN
    return ~(np.isfinite(low) & np.isfinite(high)) | (low == high)


def _per_target(
    score: Callable[..., np.ndarray],
    pred: np.ndarray,
    truth: np.ndarray,
    constant: Constant,
    both: bool = False,
) -> np.ndarray:
    pred, truth = _pair(pred, truth)
    values = _by_block(score, pred, truth)
    without = _degenerate(truth) | (_degenerate(pred) if both else ~np.isfinite(pred).all(0))
    if constant == "drop":
        return values[~without]
    if constant not in ("zero", "nan"):
        raise SubmissionError(f"constant: expected 'zero', 'nan' or 'drop'; found {constant!r}.")
    return np.where(without, 0.0 if constant == "zero" else np.nan, values)
