"""How far a score would move with other samples: 95 % intervals of scores and of their differences.

Of a mean over targets, by the jackknife (`submit.scores.interval.LeftOut`): a correlation of n samples lies below the
true one by about r(1 - r^2) / 2n, which does not average out over targets, and which a bootstrap would double. Of a
median, by the percentiles of a bootstrap (Efron & Tibshirani 1993, chapters 13 and 16) less its bias
(`submit.scores.interval.Drawn`). Of an accuracy, by counting.

In a bootstrap samples are drawn again with replacement, as many as there are, and scored anew. A draw is a list of
weights, how often each sample was drawn, so that the sums behind the scores of many draws are one matrix product. The
draws depend on the number of samples and the seed alone, and so do the parts that are left out: two predictions of the
same samples are compared on the same ones, and their difference has an interval that is narrower than either's.

    submit.bootstrap.interval(pred, truth)                             # mean Pearson r, its 95 % interval
    submit.bootstrap.difference(a, b, truth, "explained_variance", "median")
    submit.bootstrap.interval(classes, true_classes, "accuracy")
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from submit import metrics
from submit.blocks import blocks, progress
from submit.errors import SubmissionError
from submit.metrics.summed import EXPLAINED_VARIANCE, PEARSON, Summed, summed
from submit.scores.interval import CORRELATION, EXPLAINED, Counted, Drawn, Estimate, Interval, LeftOut
from submit.scores.jackknife import parts, without_each

__all__ = ["Interval", "difference", "interval"]

DRAWS = 1000

ScoreName = Literal["pearson", "explained_variance", "accuracy"]
Aggregate = Literal["mean", "median"]

_CELLS = 2**23  # scores (draws x targets) and weights (draws x samples) in memory at a time
_AGGREGATES: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median}
_PER_TARGET = {
    "pearson": (metrics.pearson, PEARSON, CORRELATION),
    "explained_variance": (metrics.explained_variance, EXPLAINED_VARIANCE, EXPLAINED),
}
_AVERAGED = 2  # targets, of which the median is the mean


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
    "accuracy" (n,) classes. draws, seed: of a median. Raises SubmissionError for other shapes and names.
    """
    return estimates(pred, truth, score, (aggregate,), draws, seed)[0].interval()


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
    one, other = (estimates(side, truth, score, (aggregate,), draws, seed)[0] for side in (first, second))
    return one.minus(other)


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
    scores: Mapping[str, Summed],
    *arrays: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
    strength: float = 1.0,
) -> Iterator[dict[str, np.ndarray]]:
    """Name -> (d, t) of some draws after another, 0 where a score is undefined.

    arrays: what the scores take, samples on the first axis and targets on the last. Scores that share their terms
    share the sums. strength: 1, or less for weights nearer to 1.
    """
    samples, targets = len(arrays[0]), arrays[0].shape[-1]
    parts = -(-draws // _at_a_time(samples, targets))
    for weight in progress(weights(samples, draws, seed, targets), parts, "resampling"):
        weight = 1 + strength * (weight - 1)
        found = {name: np.empty((len(weight), targets)) for name in scores}
        for which, block in blocks(*arrays):
            with np.errstate(all="ignore"):
                kinds = dict.fromkeys(score.terms for score in scores.values())
                sums = {terms: summed(terms(*block), weight.__matmul__) for terms in kinds}
                for name, score in scores.items():
                    found[name][:, which] = np.nan_to_num(score.score(sums[score.terms]), posinf=0, neginf=0)
        yield found


def strengths(draws: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `per_target` takes for the draws, and for those halfway to 1 that `Drawn` wants."""
    return {"draws": draws, "seed": seed}, {"draws": -(-draws // 5), "seed": seed, "strength": 0.5}


def estimates(
    pred: np.ndarray,
    truth: np.ndarray,
    score: ScoreName = "pearson",
    aggregates: Sequence[Aggregate] = ("mean",),
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Estimate]:
    """The score under each aggregate; otherwise as `interval`. "accuracy" is one whatever the aggregates."""
    pred, truth = np.asarray(pred), np.asarray(truth)
    if draws < 1:
        raise SubmissionError(f"draws: expected 1 or more; found {draws}.")
    if score == "accuracy":
        metrics.accuracy(pred, truth)  # refuses other shapes
        return [Counted(pred == truth)]
    if score not in _PER_TARGET or not set(aggregates) <= _AGGREGATES.keys():
        raise SubmissionError(
            "expected the mean or median of pearson or explained_variance, or accuracy; found "
            f"{', '.join(aggregates)} of {score}."
        )
    of_all, summed, scale = _PER_TARGET[score]
    whole = of_all(pred, truth)
    found: list[Estimate] = []
    for name in aggregates:
        if name == "mean" or len(whole) <= _AVERAGED:
            left = sum(some["it"].sum(1) for _, some in without_each({"it": summed}, pred, truth))
            mean, sizes = np.asarray(left) / len(whole), parts(len(pred))[1]
            found.append(LeftOut(float(whole.mean()), mean, sizes, scale))
            continue
        over = _AGGREGATES[name]
        full, half = (
            np.concatenate(
                [over(some["it"], axis=1) for some in per_target({"it": summed}, pred, truth, **how)]
            )
            for how in strengths(draws, seed)
        )
        found.append(Drawn(float(over(whole)), full, half, len(pred), scale))
    return found
