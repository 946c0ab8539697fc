"""Scores of classes: accuracy, top-k accuracy, confusion matrix, precision, recall and F1."""

from typing import Any, Literal, overload

import numpy as np

from submit.errors import SubmissionError

Average = Literal["macro", "micro"]
Rates = tuple[np.ndarray, np.ndarray, np.ndarray]  # precision, recall, F1
AVERAGES: tuple[Average, ...] = ("macro", "micro")


def top_k_accuracy(scores: np.ndarray, truth: np.ndarray, k: int) -> float:
    """The share of samples whose true class is among the k highest scores, as in `among_top`."""
    return float(among_top(scores, truth, k).mean())


def among_top(scores: np.ndarray, truth: np.ndarray, k: int) -> np.ndarray:
    """(n,) bool: whether the true class is among the k highest scores.

    scores: (n, classes). truth: (n,) class numbers, -1 for a class that is none of these. Of equal scores the class
    listed first ranks higher, as in arg-max; a sample with a score that is not finite, or of class -1, counts as wrong.
    Raises SubmissionError for other shapes, and for truth that is no such number.
    """
    scores, truth = np.asarray(scores), np.asarray(truth)
    if scores.ndim != 2 or truth.shape != scores.shape[:1] or not len(truth):
        raise SubmissionError(
            f"expected scores (n, classes) and truth (n,), n > 0; found {scores.shape}, {truth.shape}."
        )
    check_numbers(truth, scores.shape[1])
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < truth[:, None]
    rank = ((scores > own) | ((scores == own) & earlier)).sum(1)
    return (rank < k) & (truth >= 0) & np.isfinite(scores).all(1)


def check_numbers(truth: np.ndarray, classes: int) -> None:
    """Raises SubmissionError unless truth, of one sample or more, is numbers of so many classes, or -1."""
    if truth.dtype.kind not in "iu" or truth.min() < -1 or truth.max() >= classes:
        raise SubmissionError(
            f"truth: expected class numbers from 0 to {classes - 1}, or -1 for none of them; "
            f"found {truth.dtype}, {truth.min()} to {truth.max()}."
        )


def accuracy(pred: np.ndarray, truth: np.ndarray) -> float:
    """The share of samples whose predicted class, a name or a number, equals the true one. Both (n,).

    Raises SubmissionError for other shapes, and for names on one side and numbers on the other.
    """
    pred, truth = _classes(pred, truth)
    return float((pred == truth).mean())


def confusion_matrix(
    pred: np.ndarray, truth: np.ndarray, classes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(c, c) counts, a row a true class and a column a predicted one, and the classes (c,), as scikit-learn.

    classes: unique names or numbers, in the order wanted; those that occur on either side, sorted, when not given.
    Samples of which either class is none of these are left out. Raises SubmissionError as `accuracy` does.
    """
    pred, truth = _classes(pred, truth)
    classes = np.unique(np.concatenate([pred, truth])) if classes is None else _of_one_kind(truth, classes)[1]
    order = np.argsort(classes, kind="stable")
    of_pred, of_truth = (_numbers(side, classes, order) for side in (pred, truth))
    both = (of_pred >= 0) & (of_truth >= 0)
    cells = of_truth[both] * len(classes) + of_pred[both]
    return np.bincount(cells, minlength=len(classes) ** 2).reshape(len(classes), -1), classes


def precision_recall_f1(pred: np.ndarray, truth: np.ndarray, average: Average | None = None) -> Rates:
    """Precision, recall and F1 over the classes that occur on either side, as scikit-learn with zero_division=0.

    average: None for a value each class, (c,), sorted by class; else three numbers, "macro" for their plain mean,
    "micro" for that of all samples together, which is the accuracy three times over.
    """
    pred, truth = _classes(pred, truth)
    classes, numbers = np.unique(np.concatenate([pred, truth]), return_inverse=True)
    pred, truth = np.split(numbers, 2)
    sides = (truth[pred == truth], pred, truth)
    right, predicted, actual = (np.bincount(side, minlength=len(classes)) for side in sides)
    return rates(right, predicted, actual, average)


@overload
def rates(right: np.ndarray, predicted: np.ndarray, actual: np.ndarray, average: None = None) -> Rates: ...
@overload
def rates(
    right: np.ndarray, predicted: np.ndarray, actual: np.ndarray, average: Average | None
) -> tuple[Any, Any, Any]: ...
def rates(
    right: np.ndarray, predicted: np.ndarray, actual: np.ndarray, average: Average | None = None
) -> tuple[Any, Any, Any]:
    """Precision right / predicted, recall right / actual and F1 2 right / (predicted + actual), 0 where 0 / 0.

    right, predicted, actual: (..., c) how many samples of each class are predicted well, predicted, and there. With an
    average the three are (...), of (c,) a number each.
    "macro" is the mean over the classes that are predicted or there. Source: van Rijsbergen, Information Retrieval
    (1979), chapter 7.
    """
    if average not in (None, "macro", "micro"):
        raise SubmissionError(f"average: expected None, 'macro' or 'micro'; found {average!r}.")
    counts = [np.asarray(count, np.float64) for count in (right, predicted, actual)]
    if average == "micro":
        counts = [count.sum(-1) for count in counts]
    right, predicted, actual = counts
    pairs = ((right, predicted), (right, actual), (2 * right, predicted + actual))
    precision, recall, f1 = (above / np.where(below > 0, below, 1) for above, below in pairs)
    if average != "macro":
        return precision, recall, f1
    there = np.maximum(((predicted + actual) > 0).sum(-1), 1)
    return precision.sum(-1) / there, recall.sum(-1) / there, f1.sum(-1) / there


def _classes(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pred, truth = _of_one_kind(pred, truth)
    if pred.shape != truth.shape or pred.ndim != 1 or not len(truth):
        raise SubmissionError(
            f"expected two lists of classes of one length; found shapes {pred.shape}, {truth.shape}."
        )
    return pred, truth


def _of_one_kind(*sides: np.ndarray) -> list[np.ndarray]:
    """As arrays of text or of numbers. NumPy calls no name and number equal, without a word."""
    arrays = [np.array(side.tolist()) if side.dtype == object else side for side in map(np.asarray, sides)]
    if len({array.dtype.kind in "US" for array in arrays}) > 1:
        raise SubmissionError(
            f"expected names on both sides, or numbers; found {' and '.join(str(one.dtype) for one in arrays)}."
        )
    return arrays


def _numbers(values: np.ndarray, classes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(n,) where each value lies in `classes`, which `order` sorts; -1 for those that are not there."""
    if not len(classes):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(classes, values, sorter=order), len(classes) - 1)
    found = order[place]
    return np.where(classes[found] == values, found, -1)
