"""One prediction of classes under every definition: accuracy, top-5, precision, recall and F1."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from submit import metrics
from submit.files.json_text import plain
from submit.metrics.classification import AVERAGES
from submit.scores.by_class import PerClass, confusion, per_class, sides
from submit.scores.interval import Counted, Interval, LeftOut
from submit.scores.jackknife import parts
from submit.scores.pairing import PairedClasses

_RATES = ("precision", "recall", "F1")


@dataclass(frozen=True)
class ClassRosetta:
    """scores: by name, with 95 % intervals over samples. classes: those that are there or predicted.

    confusion: a row a true class and a column a predicted one, of those classes; empty for more than 1,024.
    not_finite: how many samples have a score that is not, and so no predicted class.
    """

    samples: int
    scores: dict[str, Interval]
    classes: tuple[PerClass, ...]
    confusion: tuple[tuple[int, ...], ...]
    not_finite: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; NaN is None."""
        return plain(asdict(self))


def rosetta_classes(pair: PairedClasses) -> ClassRosetta:
    """Every score of classes in `submit.metrics`, as scikit-learn with zero_division=0."""
    hits = {"accuracy": pair.predicted == pair.truth}
    if pair.scores is not None and len(pair.classes) > 5:
        hits["top-5 accuracy"] = metrics.among_top(pair.scores, pair.truth, 5)
    scores = {name: Counted(right).interval() for name, right in hits.items()} | _rates(pair)
    matrix = confusion(pair)
    rows = () if matrix is None else tuple(tuple(row) for row in matrix.tolist())
    return ClassRosetta(len(pair.ids), scores, per_class(pair), rows, int((pair.predicted < 0).sum()))


def _rates(pair: PairedClasses) -> dict[str, Interval]:
    """Precision, recall and F1, macro and micro: from three counts of each class, made anew without each part.

    The micro ones are the accuracy three times over.
    """
    part, sizes = parts(len(pair.ids))
    members = csr_array((np.ones(len(part)), (part, np.arange(len(part)))))
    counted = [_one_hot(side, len(pair.classes)) for side in sides(pair)]
    of_parts = [(members @ side).toarray() for side in counted]
    whole = [np.asarray(side.sum(0))[None] for side in counted]
    left = [every - some for every, some in zip(whole, of_parts, strict=True)]
    found = {}
    for average in AVERAGES:
        values, without = (
            metrics.rates(right, predicted, actual, average) for right, predicted, actual in (whole, left)
        )
        for rate, (value,), each in zip(_RATES, values, without, strict=True):
            interval = LeftOut(float(value), each, sizes).interval()
            low, high = max(interval.low, 0.0), min(interval.high, 1.0)
            found[f"{rate}, {average}"] = Interval(interval.value, low, high)
    if (pair.predicted >= 0).all():
        accuracy = Counted(pair.predicted == pair.truth).interval()
        found |= {f"{rate}, micro": accuracy for rate in _RATES}
    return found


def _one_hot(numbers: np.ndarray, classes: int) -> csr_array:
    """(n, classes), a row of zeros where the number is -1."""
    rows = np.flatnonzero(numbers >= 0)
    return csr_array((np.ones(len(rows)), (rows, numbers[rows])), shape=(len(numbers), classes))
