"""Scores that need every single presentation of an image, not only the average response.

Repeats are (n images, r presentations, t targets), NaN where one is missing, as in `submit.ceilings`. Predictions are
(n, t), or (n, r, t) for a model that tells presentations apart (by behaviour, say).
"""

from collections.abc import Callable

import numpy as np

from submit.blocks import above_lowest, by_block
from submit.errors import SubmissionError
from submit.metrics.ceilings import explainable_variance
from submit.metrics.regression import Constant, fill_undefined
from submit.metrics.summed import Summed, Terms, correlation, moments, ratio, squares


def noise_corrected_r2(pred: np.ndarray, repeats: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """r^2 with the noiseless response, estimated, (t,): Pospisil & Bair (2021), "The unbiased estimation of r^2 ...".

    ((Sxy)^2 - (s2 / n) Sxx) / (Sxx Syy - (s2 / n)(m - 1) Sxx), x the centred prediction, y the centred average over
    the n presentations of each of m images, s2 the variance over presentations, averaged over images. Where images
    have different numbers of them, 1 / n is their mean reciprocal. Chance takes it below 0 or above 1.
    """
    return _per_target(NOISE_CORRECTED_R2, pred, repeats, constant)


def feve(
    pred: np.ndarray, repeats: np.ndarray, least: float = 0.15, constant: Constant = "zero"
) -> np.ndarray:
    """Fraction of explainable variance explained, over the targets with FEV >= `least`, as in neuralpredictors.

    1 - (MSE - noise) / (total - noise): MSE over all presentations, noise and total variance as in
    `submit.ceilings.explainable_variance` (FEV); images with one presentation are left out.
    """
    pred, repeats = _checked(pred, repeats)
    kept = explainable_variance(repeats) >= least
    return _per_target(FEVE, pred[..., kept], repeats[..., kept], constant)


def single_trial_correlation(
    pred: np.ndarray, repeats: np.ndarray, constant: Constant = "zero"
) -> np.ndarray:
    """Sensorium's single-trial correlation, (t,): Pearson r over all presentations (Willeke et al. 2022)."""
    return _per_target(SINGLE_TRIAL, pred, repeats, constant)


def correlation_to_average(pred: np.ndarray, repeats: np.ndarray, constant: Constant = "zero") -> np.ndarray:
    """Sensorium's correlation to average, (t,): Pearson r over images, responses and predictions averaged for each.

    Source: Willeke et al. (2022), "The Sensorium competition on predicting large-scale mouse primary visual cortex
    activity".
    """
    return _per_target(TO_AVERAGE, pred, repeats, constant)


def _average_terms(pred: np.ndarray, repeats: np.ndarray) -> Terms:
    """Of the averages of images shown at all; the reciprocal number of presentations, and the variance over them."""
    x, y, there = _presented(pred, repeats)
    counts = there.sum(1)
    shown, once = counts > 0, np.maximum(counts, 1)
    noise = _noise_terms(y, there)
    x, y = (np.where(shown, side.sum(1) / once, 0) for side in (x, y))
    x, y = (np.where(shown, side - side.sum(0) / shown.sum(0), 0) for side in (x, y))
    return {**moments(x, y, shown * 1.0), "reciprocal": shown / once, **noise}


def _noise_terms(y: np.ndarray, there: np.ndarray) -> Terms:
    """The variance over presentations, ddof 1, of images with two or more, and which those are."""
    counts = there.sum(1)
    means = y.sum(1) / np.maximum(counts, 1)
    within = np.where(there, (y - means[:, None]) ** 2, 0).sum(1) / np.maximum(counts - 1, 1)
    return {"noise": np.where(counts > 1, within, 0), "repeated": (counts > 1) * 1.0}


def _trial_terms(pred: np.ndarray, repeats: np.ndarray) -> Terms:
    """Of single presentations, summed within images."""
    x, y, there = _presented(pred, repeats)
    total = there.sum((0, 1))
    x, y = (np.where(there, side - side.sum((0, 1)) / total, 0) for side in (x, y))
    return {name: values.sum(1) for name, values in moments(x, y, there * 1.0).items()}


def _feve_terms(pred: np.ndarray, repeats: np.ndarray) -> Terms:
    """Of single presentations of images with two or more, and the squared error of each."""
    _, y, there = _presented(pred, repeats)
    used = there & (there.sum(1) > 1)[:, None]
    squared = np.where(used, (repeats - _each(pred)) ** 2, 0).sum(1)
    noise = _noise_terms(y, there)
    y = np.where(used, y - np.where(used, y, 0).sum((0, 1)) / used.sum((0, 1)), 0)
    return {"count": used.sum(1), "y": y.sum(1), "yy": (y * y).sum(1), "squared": squared, **noise}


def _presented(pred: np.ndarray, repeats: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions and responses (n, r, b), each above its lowest and 0 where it is missing, and which are there."""
    there = ~np.isnan(repeats)
    return *(np.where(there, above_lowest(side), 0) for side in (_each(pred), repeats)), there


def _each(pred: np.ndarray) -> np.ndarray:
    """(n, r or 1, b)."""
    return pred if pred.ndim == 3 else pred[:, None]


def _corrected(sums: Terms) -> np.ndarray:
    xx, yy, xy = squares(sums)
    noise = ratio(sums["noise"], sums["repeated"]) * sums["reciprocal"] / sums["count"]
    corrected = (xy**2 - noise * xx) / (xx * yy - noise * (sums["count"] - 1) * xx)
    return np.where(xx * yy > 0, corrected, np.nan)


def _explained(sums: Terms) -> np.ndarray:
    count = sums["count"]
    total = (sums["yy"] - sums["y"] ** 2 / count) / (count - 1)
    noise = ratio(sums["noise"], sums["repeated"])
    return 1 - (sums["squared"] / count - noise) / (total - noise)


NOISE_CORRECTED_R2 = Summed(_average_terms, _corrected)
TO_AVERAGE = Summed(_average_terms, correlation)
SINGLE_TRIAL = Summed(_trial_terms, correlation)
FEVE = Summed(_feve_terms, _explained)


def _per_target(
    score: Callable[..., np.ndarray], pred: np.ndarray, repeats: np.ndarray, constant: Constant
) -> np.ndarray:
    values = by_block(score, *_checked(pred, repeats))
    return fill_undefined(values, ~np.isfinite(values), constant)


def _checked(pred: np.ndarray, repeats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pred, repeats = np.asarray(pred), np.asarray(repeats)
    single = (*repeats.shape[:1], *repeats.shape[2:])
    if repeats.ndim != 3 or 0 in repeats.shape[:2] or pred.shape not in (single, repeats.shape):
        raise SubmissionError(
            "expected repeats (images, repeats, targets) and predictions (images, targets) or of the repeats' shape; "
            f"found {repeats.shape} and {pred.shape}."
        )
    return pred, repeats
