"""Scores of predictions on the host, under the names that a network's validation has."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from jaxlab.core.late import Late
from jaxlab.metrics import ClassificationSums, over_targets

if TYPE_CHECKING:
    from submit import metrics
else:
    metrics = Late("submit.metrics")


def scores_of(values: np.ndarray, truth: np.ndarray, ceiling: np.ndarray | None = None) -> dict[str, float]:
    """Of predictions (n, t) against targets (n, t), or of logits (n, t) against labels (n,).

    ceiling: (t,) share of each target's variance that is signal; gives `noise_normalised`. Label -1 is a class that is
    none of these: such a sample counts as wrong. A score that is undefined of every target is NaN (`over_targets`).
    """
    return _classes(values, truth) if truth.ndim == 1 else _regression(values, truth, ceiling)


def _regression(values: np.ndarray, targets: np.ndarray, ceiling: np.ndarray | None) -> dict[str, float]:
    r, spread = metrics.pearson(values, targets, "nan"), metrics.spread_ratio(values, targets, "nan")
    scores = {
        "pearson": over_targets.mean(r),
        "pearson_median": over_targets.median(r),
        "explained_variance": over_targets.mean(metrics.explained_variance(values, targets, "nan")),
        "mse": float(metrics.mse(values, targets).mean()),
        "spread_ratio": over_targets.of_known(spread, np.mean),
        "spread_ratio_median": over_targets.of_known(spread, np.median),
    }
    if ceiling is not None and (ceiling > 0).any():
        scores["noise_normalised"] = over_targets.mean(metrics.noise_normalised(r, ceiling))
    return scores


def _classes(logits: np.ndarray, label: np.ndarray) -> dict[str, float]:
    sums = ClassificationSums.start(logits.shape[1])
    sums = sums.add(jnp.asarray(logits), jnp.asarray(label), jnp.zeros(len(label)))
    return {name: value for name, value in sums.compute().items() if name != "loss"}
