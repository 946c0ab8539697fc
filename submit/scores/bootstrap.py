"""How far a score would move with other samples: percentile bootstrap (Efron & Tibshirani 1993, chapters 13 and 16).

Samples are drawn again with replacement, as many as there are, and scored anew. A draw is a list of weights, how
often each sample was drawn, so that the sums behind the scores of many draws are one matrix product. The draws depend
on the number of samples and the seed alone: two predictions of the same samples are scored on the same draws, and their
difference has an interval that is narrower than either's.

A sample drawn twice tells nothing new, so that draws of r lie below r by about r(1 - r^2) / 2n. Where thousands of
targets average out everything else, their interval may lie below the score itself; a difference has no such bias.

    submit.bootstrap.interval(pred, truth)                             # mean Pearson r, its 95 % interval
    submit.bootstrap.difference(a, b, truth, "explained_variance", "median")
    submit.bootstrap.interval(classes, true_classes, "accuracy")
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from submit import metrics
from submit.blocks import blocks, progress
from submit.errors import SubmissionError
from submit.metrics.summed import EXPLAINED_VARIANCE, PEARSON, Summed

__all__ = ["Interval", "difference", "interval"]

DRAWS = 1000

ScoreName = Literal["pearson", "explained_variance", "accuracy"]
Aggregate = Literal["mean", "median"]

_CELLS = 2**21  # scores (draws x targets) and weights (draws x samples) in memory at a time
_AGGREGATES: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median}
_PER_TARGET = {
    "pearson": (metrics.pearson, PEARSON),
    "explained_variance": (metrics.explained_variance, EXPLAINED_VARIANCE),
}


@dataclass(frozen=True)
class Interval:
    """A score, and the 2.5th and 97.5th percentile of the draws; NaN where those are undefined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: np.ndarray) -> "Interval":
        """The interval that (d,) draws give."""
        low, high = np.percentile(draws, [2.5, 97.5])
        return cls(float(value), float(low), float(high))


def interval(
    pred: np.ndarray,
    truth: np.ndarray,
    score: ScoreName = "pearson",
    aggregate: Aggregate = "mean",
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """A score and its 95 % interval over samples.

    pred, truth: (n, t), of which the mean or median over targets is taken, an undefined target counting 0; or for
    "accuracy" (n,) classes. Raises SubmissionError for other shapes and names.
    """
    (value,), every = resampled(pred, truth, score, (aggregate,), draws, seed)
    return Interval.of(value, every[:, 0])


def difference(
    first: np.ndarray,
    second: np.ndarray,
    truth: np.ndarray,
    score: ScoreName = "pearson",
    aggregate: Aggregate = "mean",
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The score of `first` less that of `second`, two predictions of the same samples, with its paired interval."""
    ((one,), of_one), ((other,), of_other) = (
        resampled(side, truth, score, (aggregate,), draws, seed) for side in (first, second)
    )
    return Interval.of(one - other, (of_one - of_other)[:, 0])


def weights(samples: int, draws: int = DRAWS, seed: int = 0, columns: int = 1) -> Iterator[np.ndarray]:
    """(d, samples) float64: how often each sample is in each draw, some draws at a time.

    columns: how many numbers a draw leads to, so that the memory they need is bounded.
    """
    if draws < 1:
        raise SubmissionError(f"draws: expected 1 or more; found {draws}.")
    # A seed a draw, so that a draw is the same however many are made at a time.
    seeds = np.random.default_rng(seed).integers(2**63, size=draws)
    step = _at_a_time(samples, columns)
    for start in range(0, draws, step):
        some = [np.random.default_rng(s).integers(samples, size=samples) for s in seeds[start : start + step]]
        cells = np.stack(some) + samples * np.arange(len(some))[:, None]
        counts = np.bincount(cells.ravel(), minlength=samples * len(some))
        yield counts.reshape(-1, samples).astype(np.float64)


def _at_a_time(samples: int, columns: int) -> int:
    return max(1, _CELLS // max(samples, columns))


def per_target(
    scores: Mapping[str, Summed], *arrays: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Name -> (d, t) of some draws after another, 0 where a score is undefined.

    arrays: what the scores take, samples on the first axis and targets on the last. Scores that share their terms
    share the sums.
    """
    samples, targets = len(arrays[0]), arrays[0].shape[-1]
    parts = -(-draws // _at_a_time(samples, targets))
    for weight in progress(weights(samples, draws, seed, targets), parts, "resampling"):
        found = {name: np.empty((len(weight), targets)) for name in scores}
        for which, block in blocks(*arrays):
            with np.errstate(all="ignore"):
                kinds = dict.fromkeys(score.terms for score in scores.values())
                sums = {
                    terms: {name: weight @ values for name, values in terms(*block).items()}
                    for terms in kinds
                }
                for name, score in scores.items():
                    found[name][:, which] = np.nan_to_num(score.score(sums[score.terms]), posinf=0, neginf=0)
        yield found


def resampled(
    pred: np.ndarray,
    truth: np.ndarray,
    score: ScoreName = "pearson",
    aggregates: Sequence[Aggregate] = ("mean",),
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) the score of all samples under each aggregate, and (d, k) that of each draw; otherwise as `interval`.

    "accuracy" has one value whatever the aggregates.
    """
    pred, truth = np.asarray(pred), np.asarray(truth)
    if score == "accuracy":
        value, right = metrics.accuracy(pred, truth), pred == truth
        found = np.concatenate([weight @ right for weight in weights(len(right), draws, seed)])
        return np.array([value]), found[:, None] / len(right)
    if score not in _PER_TARGET or not set(aggregates) <= _AGGREGATES.keys():
        raise SubmissionError(
            "expected the mean or median of pearson or explained_variance, or accuracy; found "
            f"{', '.join(aggregates)} of {score}."
        )
    of_all, summed = _PER_TARGET[score]
    whole = of_all(pred, truth)
    over = [_AGGREGATES[name] for name in aggregates]
    every = [
        np.stack([one(some[score], axis=1) for one in over], axis=1)
        for some in per_target({score: summed}, pred, truth, draws=draws, seed=seed)
    ]
    return np.array([one(whole) for one in over]), np.concatenate(every)
