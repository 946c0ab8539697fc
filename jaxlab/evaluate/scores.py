"""Scores of predictions on the host, under the names that a network's validation has."""

from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

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


class TargetScores(NamedTuple):
    """(t,) scores of each target over its own samples, NaN where undefined; samples: (t,) how many these are."""

    pearson: np.ndarray
    explained_variance: np.ndarray
    mse: np.ndarray
    spread_ratio: np.ndarray
    samples: np.ndarray


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
    *each, samples = (np.concatenate(score) for score in zip(*parts, strict=True))
    error, told = each[2][samples > 0], samples > 1
    r, explained, _, spread = (score[told] for score in each)
    scores = {
        "pearson": over_targets.mean(r),
        "pearson_median": over_targets.median(r),
        "explained_variance": over_targets.mean(explained),
        "mse": float(error.mean()) if len(error) else float("nan"),
        "spread_ratio": over_targets.of_known(spread, np.mean),
        "spread_ratio_median": over_targets.of_known(spread, np.median),
    }
    if ceiling is not None and (ceiling > 0).any():
        scores["noise_normalised"] = over_targets.mean(metrics.noise_normalised(r, ceiling[told]))
    return scores


def target_scores(values: np.ndarray, targets: np.ndarray) -> TargetScores:
    """Of predictions and targets (n, t), of the rows where a target is known."""
    samples = (~np.isnan(targets)).sum(0)
    if len(targets) and not np.isnan(targets).any():
        return TargetScores(
            metrics.pearson(values, targets, "nan"),
            metrics.explained_variance(values, targets, "nan"),
            metrics.mse(values, targets),
            metrics.spread_ratio(values, targets, "nan"),
            samples,
        )
    return TargetScores(*known.where_known(values, targets).values(), samples)


def _added(sums: ClassificationSums, logits: np.ndarray, label: np.ndarray) -> dict[str, float]:
    sums = sums.add(jnp.asarray(logits), jnp.asarray(label), jnp.zeros(len(label)))
    return {name: value for name, value in sums.compute().items() if name != "loss"}
