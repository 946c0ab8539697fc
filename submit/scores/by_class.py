"""One prediction of classes, class by class: precision, recall and F1, what is taken for what, and calibration."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from submit import metrics
from submit.errors import SubmissionError
from submit.files.json_text import plain
from submit.metrics.classification import AVERAGES
from submit.metrics.table import SCORES
from submit.scores.calibrated import Calibration, calibrated
from submit.scores.pairing import PairedClasses

MOST = 1024  # classes of which there is a confusion matrix: of more it has millions of cells
_RATES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class PerClass:
    """Of one class: how many samples it has, and its precision, recall and F1."""

    name: str
    samples: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class ByClass:
    """samples: how many. scores: by the names of `submit.metrics.SCORES`, and those of calibration.

    classes: those that are there or predicted. confusion: (c, c) counts of them, a row a true class and a column a
    predicted one; None of more than 1,024. mistaken: (true class, predicted class, samples), most often first.
    calibration: None where there are no scores, with the reason in `uncalibrated`.
    without: how many samples have a score that is not finite, or are of none of the classes: they count as wrong, and
    are not in `confusion`.
    by_type: of questions that several people answered {"answer_type" and so on: {type: (questions, VQA accuracy)}}.
    """

    samples: int
    scores: dict[str, float]
    classes: tuple[PerClass, ...]
    confusion: np.ndarray | None
    mistaken: tuple[tuple[str, str, int], ...]
    calibration: Calibration | None
    uncalibrated: str
    without: int
    by_type: Mapping[str, Mapping[str, tuple[int, float]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; without what does not apply, and None for what is undefined."""
        found: dict[str, Any] = {**self.scores, "by_class": [asdict(one) for one in self.classes]}
        if self.confusion is not None:
            found["confusion"] = self.confusion.tolist()
        if self.calibration is not None:
            found["reliability"] = self.calibration.rows()
        for name, types in self.by_type.items():
            found[f"vqa_accuracy_by_{name}"] = {kind: accuracy for kind, (_, accuracy) in types.items()}
        return plain(found)


def by_class(pair: PairedClasses) -> ByClass:
    """Of predictions beside their solution, which may have classes that are none of `pair.classes`: truth -1."""
    classes, matrix = per_class(pair), confusion(pair)
    calibration, why = _calibration(pair)
    scores = _scores(pair) | ({} if calibration is None else calibration.scores())
    without = int(((pair.truth < 0) | (pair.predicted < 0)).sum())
    return ByClass(len(pair.ids), scores, classes, matrix, _mistaken(pair), calibration, why, without)


def per_class(pair: PairedClasses) -> tuple[PerClass, ...]:
    """The classes that are there or predicted, in the pair's order."""
    there = present(pair)
    each = zip(*metrics.rates(*(side[there] for side in counts(pair))), strict=True)
    actual = counts(pair)[2][there]
    return tuple(
        PerClass(str(pair.classes[number]), int(samples), *(float(value) for value in values))
        for number, samples, values in zip(there, actual, each, strict=True)
    )


def present(pair: PairedClasses) -> np.ndarray:
    """The numbers of the classes that are there or predicted."""
    both = np.concatenate([pair.truth, pair.predicted])
    return np.unique(both[both >= 0])


def confusion(pair: PairedClasses) -> np.ndarray | None:
    """(c, c) counts of the classes of `present`; None of too many."""
    there = present(pair)
    if not 0 < len(there) <= MOST:
        return None
    return metrics.confusion_matrix(pair.predicted, pair.truth, there)[0]


def sides(pair: PairedClasses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The class of each sample that is predicted well, else -1; the predicted class; the true one."""
    return np.where(pair.predicted == pair.truth, pair.truth, -1), pair.predicted, pair.truth


def counts(pair: PairedClasses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(c,) of all classes: how many samples are predicted well, are predicted, and are there."""
    right, predicted, actual = (
        np.bincount(side[side >= 0], minlength=len(pair.classes)) for side in sides(pair)
    )
    return right, predicted, actual


def _scores(pair: PairedClasses) -> dict[str, float]:
    """Accuracy, that of the first k up to five where there are scores, and rates."""
    found = {"accuracy": float(((pair.predicted == pair.truth) & (pair.truth >= 0)).mean())}
    if pair.scores is not None:
        k = min(5, len(pair.classes) - 1)
        name = f"top_{k}_accuracy"
        if name in SCORES and (definition := SCORES[name].definition) is not None:
            found[name] = definition(pair.scores, pair.truth)
    for average in AVERAGES:
        values = metrics.rates(*counts(pair), average)
        found |= {f"{rate}_{average}": float(value) for rate, value in zip(_RATES, values, strict=True)}
    return found


def _mistaken(pair: PairedClasses) -> tuple[tuple[str, str, int], ...]:
    wrong = (pair.predicted != pair.truth) & (pair.predicted >= 0) & (pair.truth >= 0)
    cells = pair.truth[wrong].astype(np.int64) * len(pair.classes) + pair.predicted[wrong]
    found, number = np.unique(cells, return_counts=True)
    order = np.argsort(-number, kind="stable")
    names = pair.classes.astype(str)
    true, predicted = np.divmod(found[order], len(pair.classes))
    return tuple(zip(names[true].tolist(), names[predicted].tolist(), number[order].tolist(), strict=True))


def _calibration(pair: PairedClasses) -> tuple[Calibration | None, str]:
    if pair.scores is None:
        return None, ""
    if len(pair.classes) < 2:
        return None, "there is but one class"
    try:
        return calibrated(pair.scores, pair.truth, pair.scores_kind), ""
    except SubmissionError as error:
        return None, str(error)
