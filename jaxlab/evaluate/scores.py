"""Scores of predictions on the host, under the names that a network's validation has."""

from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from jaxlab.metrics import AnswerSums, ClassificationSums, over_targets
from submit.late import Late

if TYPE_CHECKING:
    from submit import metrics
    from submit.metrics import known
else:
    metrics = Late("submit.metrics")
    known = Late("submit.metrics.known")

_ROWS = 65_536  # of logits looked at a time, each several times over


TargetScores = dict[str, np.ndarray]  # {score, or "samples": (t,)} of each target


def scores_of(
    values: np.ndarray,
    truth: np.ndarray,
    ceiling: np.ndarray | None = None,
    answer_types: tuple[str, ...] | None = None,
) -> dict[str, float]:
    """Of predictions (n, t) against targets (n, t), or of logits (n, t) against labels (n,).

    answer_types: of questions that several people answered, whose truth is as `AnswerSums.add` has it.

    ceiling: (t,) share of each target's variance that is signal; gives `noise_normalised`. Label -1 is a class that is
    none of these: such a sample counts as wrong. A score that is undefined of every target is NaN (`over_targets`).
    Targets that are missing (NaN) have no part in scores.
    """
    if answer_types is not None and truth.ndim == 2:
        return _added(AnswerSums.start(values.shape[1], types=answer_types), values, truth)
    if truth.ndim == 1:
        return _added(ClassificationSums.start(values.shape[1]), values, truth)
    return scores_of_blocks([(values, truth)], ceiling)


def scores_of_blocks(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]], ceiling: np.ndarray | None = None
) -> dict[str, float]:
    """Of predictions and targets (n, t) of several subjects, each with samples of its own: over all their targets.

    blocks: of which one at a time is in memory. ceiling: (t,) of all subjects' targets, one subject after the other.
    """
    return scores_over(list(starmap(target_scores, blocks)), ceiling)


def scores_over(parts: Sequence[TargetScores], ceiling: np.ndarray | None = None) -> dict[str, float]:
    """The same of `target_scores` of each."""
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    error, told = every["mse"][every["samples"] > 0], every["samples"] > 1
    each = {name: values[told] for name, values in every.items()}
    r, spread = each["pearson"], each["spread_ratio"]
    scores = {
        "pearson": over_targets.mean(r),
        "pearson_median": over_targets.median(r),
        "explained_variance": over_targets.mean(each["explained_variance"]),
        "mse": float(error.mean()) if len(error) else float("nan"),
        "spread_ratio": over_targets.of_known(spread, np.mean),
        "spread_ratio_median": over_targets.of_known(spread, np.median),
    }
    if ceiling is not None and (ceiling > 0).any():
        scores["noise_normalised"] = over_targets.mean(metrics.noise_normalised(r, ceiling[told]))
    return scores


def target_scores(values: np.ndarray, targets: np.ndarray) -> TargetScores:
    """Of predictions and targets (n, t): scores over the samples that each target is known of, and how many these are.

    A score that is undefined is NaN.
    """
    found = _each(values, targets)
    return {**found, "samples": (~np.isnan(targets)).sum(0)}


def _each(values: np.ndarray, targets: np.ndarray) -> TargetScores:
    if not len(targets) or np.isnan(targets).any():
        return known.where_known(values, targets)
    return {
        "pearson": metrics.pearson(values, targets, "nan"),
        "explained_variance": metrics.explained_variance(values, targets, "nan"),
        "mse": metrics.mse(values, targets),
        "spread_ratio": metrics.spread_ratio(values, targets, "nan"),
    }


def _added(sums: ClassificationSums, logits: np.ndarray, label: np.ndarray) -> dict[str, float]:
    for start in range(0, max(len(label), 1), _ROWS):
        rows = slice(start, start + _ROWS)
        sums = sums.add(jnp.asarray(logits[rows]), jnp.asarray(label[rows]), jnp.zeros(len(label[rows])))
    return {name: value for name, value in sums.compute().items() if name != "loss"}
