"""Every score that a record can hold: what it is called, which way is better, which one to show, how it is defined.

A score is named here once; what trains, shows, compares or checks one looks it up. Adding one is a line in `SCORES`.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from submit.errors import SubmissionError
from submit.metrics.classification import AVERAGES, Average, among_top, rates, top_k_accuracy
from submit.metrics.normalised import noise_normalised
from submit.metrics.regression import explained_variance, mse, pearson, undefined
from submit.metrics.spread import spread_ratio

Kind = Literal["regression", "classification"]
ANSWER_TYPES = ("yes/no", "number", "other", "unanswerable")  # of VQA v2; the last one of VizWiz
_Definition = Callable[..., float]


@dataclass(frozen=True)
class Score:
    """name: in records (metrics.jsonl, run.json, provenance). label: in sentences and figures; short: above a column.

    kind: what it is a score of, None of either. better: "near 1" for a ratio that is best at 1, None for a count that
    says nothing of quality.
    headline: whether it is the one to show of its kind. ceiling: whether the definition takes one.
    definition: the reference, in float64, or None where the score is a run's own (its loss), or of texts. It takes
    predictions and truth, (n, t) both, with a ceiling (t,); of classes scores (n, c) and class numbers (n,), -1 for
    none of these.
    """

    name: str
    label: str
    kind: Kind | None
    definition: _Definition | None = None
    better: Literal["higher", "lower", "near 1"] | None = "higher"
    headline: bool = False
    ceiling: bool = False
    short: str = ""

    def worth(self, value: float) -> float:
        """A key to sort by, the higher the better, and lowest for NaN: `max(runs, key=lambda r: score.worth(r.value))`.

        Raises SubmissionError for a score without a better and a worse.
        """
        if self.better is None:
            raise SubmissionError(f"{self.name} tells nothing of quality: no value of it is the better one.")
        if math.isnan(value):
            return -math.inf
        return {"higher": value, "lower": -value, "near 1": -abs(value - 1)}[self.better]

    def improves(self, new: float, old: float | None) -> bool:
        """Whether `new` is better than `old`: NaN never is, and what is not NaN is better than None or NaN.

        Raises SubmissionError as `worth` does.
        """
        worth = self.worth(new)
        if math.isnan(new) or old is None or math.isnan(old):
            return not math.isnan(new)
        return worth > self.worth(old)


def headline(kind: Kind) -> Score:
    """The one score to show, and to choose by, of a kind."""
    return next(score for score in SCORES.values() if score.headline and score.kind == kind)


def headline_of(names: Iterable[str]) -> str:
    """The first of the recorded names that is a headline score. Raises SubmissionError where none is."""
    names = list(names)
    found = next((name for name in names if name in SCORES and SCORES[name].headline), None)
    if found is None:
        known = " or ".join(score.name for score in SCORES.values() if score.headline)
        raise SubmissionError(f"expected a score among these, {known}; found {', '.join(names) or 'none'}.")
    return found


def score_of(name: str) -> Score:
    """The score of that name. Raises SubmissionError with the nearest names, and all, where there is none."""
    if name in SCORES:
        return SCORES[name]
    near = difflib.get_close_matches(name, SCORES, n=3, cutoff=0.5)
    meant = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise SubmissionError(f"there is no score {name!r}{meant}; known are {', '.join(SCORES)}.")


def of_answer_type(kind: str) -> str:
    """The name of the VQA accuracy of one of ANSWER_TYPES."""
    return f"vqa_accuracy_{re.sub('[^a-z]', '_', kind)}"


def _over_targets(
    each: Callable[..., np.ndarray], aggregate: Callable[[np.ndarray], np.floating] = np.mean
) -> _Definition:
    return lambda predictions, truth: float(aggregate(each(predictions, truth)))


def _normalised(predictions: np.ndarray, truth: np.ndarray, ceiling: np.ndarray) -> float:
    """Mean r / sqrt(ceiling) over the targets with a ceiling above 0; NaN where none has."""
    r = noise_normalised(pearson(predictions, truth), ceiling)
    return float(r.mean()) if len(r) else math.nan


def _spread(aggregate: Callable[[np.ndarray], np.floating]) -> _Definition:
    """Over the targets whose truth varies; NaN where none does."""

    def spread(predictions: np.ndarray, truth: np.ndarray) -> float:
        known = spread_ratio(predictions, truth, "drop")
        return float(aggregate(known)) if len(known) else math.nan

    return spread


def _constant(predictions: np.ndarray, truth: np.ndarray) -> float:
    return float(undefined(predictions, truth).sum())


def _rate(number: int, average: Average) -> _Definition:
    """Precision, recall or F1 (0, 1, 2) of the class with the highest score, the first of equal ones."""

    def rate(scores: np.ndarray, truth: np.ndarray) -> float:
        scores, truth = np.asarray(scores), np.asarray(truth)
        hits = truth[among_top(scores, truth, 1)]
        choices = scores.argmax(1)[np.isfinite(scores).all(1)]
        right, predicted, actual = (
            np.bincount(side, minlength=scores.shape[1]) for side in (hits, choices, truth[truth >= 0])
        )
        return float(rates(right, predicted, actual, average)[number])

    return rate


_NUMBERS = (
    Score("pearson", "mean Pearson r", "regression", _over_targets(pearson), headline=True, short="r"),
    Score(
        "pearson_median",
        "median Pearson r",
        "regression",
        _over_targets(pearson, np.median),
        short="median r",
    ),
    Score("explained_variance", "explained variance", "regression", _over_targets(explained_variance)),
    Score("mse", "mean squared error", "regression", _over_targets(mse), "lower"),
    Score("noise_normalised", "mean r / sqrt(ceiling)", "regression", _normalised, ceiling=True),
    Score("spread_ratio", "spread ratio", "regression", _spread(np.mean), "near 1"),
    Score("spread_ratio_median", "median spread ratio", "regression", _spread(np.median), "near 1"),
    Score("constant_targets", "constant targets", "regression", _constant, better=None),
)

_CLASSES = (
    Score("accuracy", "accuracy", "classification", partial(top_k_accuracy, k=1), headline=True),
    *(
        Score(f"top_{k}_accuracy", f"top-{k} accuracy", "classification", partial(top_k_accuracy, k=k))
        for k in (2, 3, 4, 5)
    ),
    *(
        Score(f"{rate.lower()}_{average}", f"{rate}, {average}", "classification", _rate(number, average))
        for average in AVERAGES
        for number, rate in enumerate(("precision", "recall", "F1"))
    ),
)

# Of questions that several people answered; their definition, `submit.metrics.vqa_accuracy`, takes texts.
_ANSWERS = (
    Score("vqa_accuracy", "VQA accuracy", "classification"),
    *(Score(of_answer_type(kind), f"VQA accuracy, {kind}", "classification") for kind in ANSWER_TYPES),
)

SCORES = {
    score.name: score
    for score in (Score("loss", "loss", None, better="lower"), *_NUMBERS, *_CLASSES, *_ANSWERS)
}
