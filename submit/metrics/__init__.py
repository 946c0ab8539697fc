"""Reference definitions of the scores, in float64.

Arrays are (samples, targets), predictions first, and a score has one value a target. Targets are taken a
few hundred at a time, so that the memory used beside the input stays small however many there are.

A target has no defined score when the truth (for a correlation, also the prediction) is constant or holds a value that
is not finite. `constant` says what becomes of it: "zero", "nan" or "drop" (left out of the result); `undefined`
tells which targets those are.

    regression       pearson, explained_variance, r2, mse, undefined
    distribution     spread_ratio, ks_distance
    normalised       noise_normalised, nx414_correlation, nx414_variance, algonauts2021, algonauts2023(_challenge)
    repeats          noise_corrected_r2, feve, single_trial_correlation, correlation_to_average
    classification   accuracy, top_k_accuracy, confusion_matrix, precision_recall_f1; vqa_accuracy
    calibration      calibration_error, reliability, log_loss, temperature, cross_fitted

The noise ceilings themselves are in `submit.ceilings`, FEV among them; intervals are made by `submit.bootstrap`.
"""

from submit.metrics.calibration import (
    Reliability,
    calibration_error,
    cross_fitted,
    log_loss,
    reliability,
    temperature,
)
from submit.metrics.classification import (
    accuracy,
    among_top,
    confusion_matrix,
    precision_recall_f1,
    rates,
    top_k_accuracy,
)
from submit.metrics.normalised import (
    algonauts2021,
    algonauts2023,
    algonauts2023_challenge,
    noise_normalised,
    nx414_correlation,
    nx414_variance,
    shares,
)
from submit.metrics.regression import Constant, explained_variance, mse, pearson, r2, undefined
from submit.metrics.repeats import (
    correlation_to_average,
    feve,
    noise_corrected_r2,
    single_trial_correlation,
)
from submit.metrics.spread import ks_distance, spread_ratio
from submit.metrics.vqa import vqa_accuracy

__all__ = [
    "Constant",
    "Reliability",
    "accuracy",
    "algonauts2021",
    "algonauts2023",
    "algonauts2023_challenge",
    "among_top",
    "calibration_error",
    "confusion_matrix",
    "correlation_to_average",
    "cross_fitted",
    "explained_variance",
    "feve",
    "ks_distance",
    "log_loss",
    "mse",
    "noise_corrected_r2",
    "noise_normalised",
    "nx414_correlation",
    "nx414_variance",
    "pearson",
    "precision_recall_f1",
    "r2",
    "rates",
    "reliability",
    "shares",
    "single_trial_correlation",
    "spread_ratio",
    "temperature",
    "top_k_accuracy",
    "undefined",
    "vqa_accuracy",
]
