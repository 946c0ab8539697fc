"""Predictions beside their solution, joined by id and target name: numbers, or classes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from submit.alignment import align, matched, passing_over, with_ids, without_ids
from submit.errors import SubmissionError, named
from submit.files.csv_table import read_header
from submit.files.usage import IGNORED, read_usage, target_columns
from submit.labels import Labels, is_text
from submit.metrics.table import Kind
from submit.predictions import LABELLED, Predictions, ValueKind
from submit.truth import load_true, load_truth

_DIGITS = 16  # of the first whole number without a float64 of its own, 2^53 + 1

Side = Predictions | Labels | str | Path


@dataclass(frozen=True, eq=False)
class PairedNumbers:
    """predicted and truth (n, t), in the solution's order of ids (n,) and targets (t,).

    place (n,) and column (t,): where each sample and target lies in the predictions.
    left_out: how many samples of the solution are not predicted, which `paired` allows for some splits.
    """

    kind: ClassVar[Kind] = "regression"

    ids: np.ndarray
    targets: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    place: np.ndarray
    column: np.ndarray
    left_out: int = 0

    def solution(self) -> Predictions:
        """The truth by itself."""
        return Predictions(self.ids, self.truth, self.targets, split="")

    def of(self, kept: np.ndarray) -> Self:
        """Of some samples, (n,) bool."""
        rows = {name: getattr(self, name)[kept] for name in ("ids", "predicted", "truth", "place")}
        return replace(self, **rows)


@dataclass(frozen=True, eq=False)
class PairedClasses:
    """predicted and truth (n,) numbers of `classes` (c,), in the solution's order of ids; predicted is -1 where a
    score is not finite.

    scores: (n, c) where the predictions hold them, else None and `classes` are those that occur. scores_kind: theirs.
    place, left_out: as in PairedNumbers.
    """

    kind: ClassVar[Kind] = "classification"

    ids: np.ndarray
    classes: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    scores: np.ndarray | None
    place: np.ndarray
    left_out: int = 0
    scores_kind: ValueKind = "logits"

    def solution(self) -> Labels:
        """The truth by itself."""
        return Labels(self.ids, self.classes[self.truth])

    def of(self, kept: np.ndarray) -> Self:
        """Of some samples, (n,) bool."""
        rows = {name: getattr(self, name)[kept] for name in ("ids", "predicted", "truth", "place")}
        return replace(self, **rows, scores=None if self.scores is None else self.scores[kept])


def paired(
    predictions: Side, solution: Side, without: np.ndarray | None = None
) -> PairedNumbers | PairedClasses:
    """Predictions, or the file that holds them, and a solution or its CSV, matched by id and target name.

    Class names are taken for classes where the solution has one column of text (and no fractions), or one column of
    anything and the predictions are logits or probabilities. without: ids left out on both sides; others among them
    are passed over. Where the predictions say that they are of a validation split or out of fold, the solution may be a
    train.csv: its further samples, and columns beside the targets, are left out.
    Raises SubmissionError when otherwise an id, a target or a class of one side is not on the other, and for no sample
    at all. Rows that Kaggle's own form of a solution calls Ignored are left out on both sides, whether or not they are
    predicted.
    """
    ours, truth = _loaded(predictions, solution)
    if isinstance(solution, str | Path) and (ignored := read_usage(solution).get(IGNORED)) is not None:
        ours, truth = passing_over(ours, ignored), passing_over(truth, ignored)
    total = len(truth.ids)
    if _of_labelled(ours):
        truth = with_ids(truth, ours.ids)
    left_out = total - len(truth.ids)
    if without is not None:
        ours, truth = without_ids(ours, without), without_ids(truth, without)
    if not len(truth.ids):
        raise SubmissionError("There are no samples to score.")
    if isinstance(truth, Labels):
        return replace(_classes(ours, truth), left_out=left_out)
    if isinstance(ours, Labels):
        raise SubmissionError("The predictions are class names, the solution holds numbers.")
    values = align(ours, truth.ids, truth.targets).values
    place, column = _places(ours.ids, truth.ids), _places(ours.targets, truth.targets)
    return PairedNumbers(truth.ids, truth.targets, values, truth.values, place, column, left_out)


def _loaded(predictions: Side, solution: Side) -> tuple[Predictions | Labels, Predictions | Labels]:
    if isinstance(predictions, str | Path) and Path(predictions).suffix.lower() != ".csv":
        predictions = Predictions.load(predictions)
    if isinstance(solution, str | Path):
        classes = isinstance(predictions, Predictions) and predictions.kind != "regression"
        if isinstance(predictions, Predictions) and _of_labelled(predictions) and not classes:
            solution = load_truth(solution, predictions)
        else:
            solution = _solution(solution, classes)
    if isinstance(predictions, str | Path):
        one = isinstance(solution, Labels) and target_columns(read_header(predictions)) == 1
        predictions = Labels.load(predictions) if one else Predictions.load(predictions)
    return predictions, solution


def _of_labelled(predictions: Predictions | Labels) -> bool:
    return isinstance(predictions, Predictions) and predictions.split in LABELLED


def _solution(path: str | Path, classes: bool) -> Predictions | Labels:
    """Class names when there is one column of text, or one column of anything and the predictions are of classes.

    Fractions beside text are no classes but numbers with a fault, which reading them as such names. Whole numbers that
    no float64 tells from their neighbours are names.
    """
    if Path(path).suffix.lower() == ".csv" and target_columns(read_header(path)) == 1:
        labels = Labels.load(path)
        text = is_text(labels.labels)
        fractions = pd.to_numeric(labels.labels[~text], errors="coerce") % 1 > 0
        if classes or (text.any() and not fractions.any()) or _beyond_float64(labels.labels):
            return labels
    return load_true(path)


def _beyond_float64(cells: np.ndarray) -> bool:
    """Whether all are whole numbers, and some so large that float64 has no number for each."""
    digits = [text.strip().lstrip("+-").lstrip("0") or "0" for text in cells.tolist()]
    return all(map(str.isdecimal, digits)) and any(
        len(text) > _DIGITS or (len(text) == _DIGITS and int(text) > 2**53) for text in digits
    )


def _places(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    return pd.Index(have).get_indexer(pd.Index(want))


def _classes(predictions: Predictions | Labels, solution: Labels) -> PairedClasses:
    order = matched(predictions.ids, solution.ids, "ids", "the predictions")
    place = np.arange(len(solution.ids))[order] if isinstance(order, slice) else order
    if isinstance(predictions, Labels):
        both = np.concatenate([predictions.labels[order], solution.labels])
        classes, numbers = np.unique(both, return_inverse=True)
        predicted, truth = np.split(numbers, 2)
        return PairedClasses(solution.ids, classes, predicted, truth, None, place)
    truth = _places(predictions.targets, solution.labels)
    unknown = np.unique(solution.labels[truth < 0])
    if len(unknown):
        raise SubmissionError(
            f"{len(unknown)} classes of the solution are not predicted: {named(unknown, len(unknown))}; "
            f"the predictions know {named(predictions.targets, len(predictions.targets))}."
        )
    scores = predictions.values[order]
    predicted = np.where(np.isfinite(scores).all(1), scores.argmax(1), -1)
    # a CSV does not say; where its columns are no probabilities, nothing is made of how sure they are
    kind: ValueKind = "probabilities" if predictions.kind == "regression" else predictions.kind
    return PairedClasses(solution.ids, predictions.targets, predicted, truth, scores, place, scores_kind=kind)
