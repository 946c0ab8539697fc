"""One prediction of classes under every definition: accuracy, top-5, precision, recall and F1."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from submit import metrics
from submit.metrics.classification import Average
from submit.scores import bootstrap
from submit.scores.bootstrap import Interval
from submit.scores.pairing import PairedClasses
from submit.scores.rosetta import plain

_RATES = ("precision", "recall", "F1")
_MOST = 1024  # classes of which there is a confusion matrix: of more it has millions of cells


@dataclass(frozen=True)
class PerClass:
    """Of one class: how many samples it has, and its precision, recall and F1."""

    name: str
    samples: int
    precision: float
    recall: float
    f1: float


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


def rosetta_classes(pair: PairedClasses, draws: int = bootstrap.DRAWS, seed: int = 0) -> ClassRosetta:
    """Every score of classes in `submit.metrics`, as scikit-learn with zero_division=0."""
    hits = {"accuracy": pair.predicted == pair.truth}
    if pair.scores is not None and len(pair.classes) > 5:
        hits["top-5 accuracy"] = metrics.among_top(pair.scores, pair.truth, 5)
    scores = _shares(hits, draws, seed) | _rates(pair, draws, seed)
    there = np.unique(np.concatenate([pair.truth, pair.predicted[pair.predicted >= 0]]))
    right, predicted, actual = (
        np.bincount(side[side >= 0], minlength=len(pair.classes))[there] for side in _sides(pair)
    )
    each = zip(*metrics.rates(right, predicted, actual), strict=True)
    classes = tuple(
        PerClass(str(pair.classes[number]), int(samples), *(float(value) for value in values))
        for number, samples, values in zip(there, actual, each, strict=True)
    )
    rows: tuple[tuple[int, ...], ...] = ()
    if len(there) <= _MOST:
        confusion, _ = metrics.confusion_matrix(pair.predicted, pair.truth, there)
        rows = tuple(tuple(row) for row in confusion.tolist())
    return ClassRosetta(len(pair.ids), scores, classes, rows, int((pair.predicted < 0).sum()))


def _sides(pair: PairedClasses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The class of each sample that is predicted well, else -1; the predicted class; the true one."""
    return np.where(pair.predicted == pair.truth, pair.truth, -1), pair.predicted, pair.truth


def _shares(right: dict[str, np.ndarray], draws: int, seed: int) -> dict[str, Interval]:
    every = np.stack(list(right.values()), axis=1).astype(np.float64)
    drawn = np.concatenate([weight @ every for weight in bootstrap.weights(len(every), draws, seed)])
    shares = drawn / len(every)
    return {name: Interval.of(every[:, k].mean(), shares[:, k]) for k, name in enumerate(right)}


def _rates(pair: PairedClasses, draws: int, seed: int) -> dict[str, Interval]:
    """Precision, recall and F1, macro and micro: from three counts of each class, made anew for every draw."""
    samples, classes = len(pair.ids), len(pair.classes)
    counted = [_one_hot(side, classes) for side in _sides(pair)]
    averages: tuple[Average, ...] = ("macro", "micro")

    def rates(weight: np.ndarray) -> np.ndarray:
        right, predicted, actual = (weight @ side for side in counted)
        each = (metrics.rates(right, predicted, actual, average) for average in averages)
        return np.stack([rate for rates in each for rate in rates], axis=1)

    drawn = np.concatenate([rates(weight) for weight in bootstrap.weights(samples, draws, seed, classes)])
    names = [f"{rate}, {average}" for average in averages for rate in _RATES]
    whole = rates(np.ones((1, samples)))[0]
    return {name: Interval.of(whole[k], drawn[:, k]) for k, name in enumerate(names)}


def _one_hot(numbers: np.ndarray, classes: int) -> csr_array:
    """(n, classes), a row of zeros where the number is -1."""
    rows = np.flatnonzero(numbers >= 0)
    return csr_array((np.ones(len(rows)), (rows, numbers[rows])), shape=(len(numbers), classes))
