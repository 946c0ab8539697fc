"""Scores of each target over the samples whose truth is known, where each may lack others: NaN is what is not known."""

import numpy as np

from submit.blocks import blocks
from submit.metrics.regression import paired_arrays
from submit.metrics.spread import ks_of_known

SCORES = ("pearson", "explained_variance", "mse", "spread_ratio")


def where_known(pred: np.ndarray, truth: np.ndarray, distances: bool = False) -> dict[str, np.ndarray]:
    """{score: (t,)}: of each target its score over the rows where its truth is not NaN; NaN where it is undefined, as
    of no rows at all.

    distances: `ks_distance` too, for which values are sorted. Sums go over all rows at once, whichever are known, so
    that it takes no longer where every target lacks others.
    """
    pred, truth = np.asarray(pred), np.asarray(truth)
    names = (*SCORES, "ks_distance") if distances else SCORES
    found = {name: np.full(truth.shape[1], np.nan) for name in names}
    if pred.shape == truth.shape and not len(truth):
        return found
    pred, truth = paired_arrays(pred, truth)
    for which, (x, y) in blocks(pred, truth):
        with np.errstate(all="ignore"):
            for name, values in _of_block(x, y, distances).items():
                found[name][which] = values
    return found


def _of_block(x: np.ndarray, y: np.ndarray, distances: bool) -> dict[str, np.ndarray]:
    """Of (n, b) float64."""
    known = ~np.isnan(y)
    count = known.sum(0)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.where(known, values, 0.0).sum(0) / count

    def centred(values: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.where(known, values - at, 0.0)

    dx, dy = centred(x, mean(x)), centred(y, mean(y))
    xx, yy, xy = (dx * dx).sum(0), (dy * dy).sum(0), (dx * dy).sum(0)
    residual = centred(y - x, mean(y - x))
    flat, still = _degenerate(y, known), _degenerate(x, known)
    odd = ~np.isfinite(np.where(known, x, 0.0)).all(0)
    scores = {
        "pearson": np.where(flat | still, np.nan, np.clip(xy / np.sqrt(xx * yy), -1, 1)),
        "explained_variance": np.where(flat | odd, np.nan, 1 - (residual * residual).sum(0) / yy),
        "mse": np.where(count > 0, mean((y - x) ** 2), np.nan),
        "spread_ratio": np.where(flat | odd, np.nan, np.where(still, 0.0, np.sqrt(xx / yy))),
    }
    return {**scores, "ks_distance": ks_of_known(x, y, known)} if distances else scores


def _degenerate(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(b,) bool: which columns are constant where they are known, or hold a value there that is not finite."""
    low, high = np.where(known, values, np.inf).min(0), np.where(known, values, -np.inf).max(0)
    return ~(np.isfinite(low) & np.isfinite(high)) | (low == high)
