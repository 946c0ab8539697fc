"""Predictions in the form that a sample submission asks for: as a table to check, and row by row to write."""

from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from submit.alignment import positions
from submit.errors import named
from submit.files.csv_table import Cells, Table, count_words, parsed
from submit.formats.kaggle.long_form import long_form, separators
from submit.formats.kaggle.sample import Sample
from submit.labels import Labels, is_text
from submit.predictions import Predictions

_ROWS = 4096  # samples whose logits become probabilities at a time


class Answer(Protocol):
    """table: what is to be checked, in the predictions' order. faults: what the table does not show."""

    @property
    def table(self) -> Table: ...
    @property
    def faults(self) -> list[str]: ...
    def cells(self, rows: slice) -> np.ndarray:
        """(m, t) numbers or text: what is written for these rows of the sample. Only where there is no fault."""
        ...


def answer(predictions: Predictions, sample: Sample, probabilities: bool = True) -> Answer:
    """Class names, pairs of id and target, or a column for each target, as the sample asks.

    probabilities: whether logits in columns or pairs become probabilities.
    """
    if len(sample.columns) == 1 and not np.array_equal(sample.columns, predictions.targets):
        between = separators(sample.ids, predictions.ids, predictions.targets)
        if between:
            return LongAnswer(predictions, sample, between)
        if predictions.kind != "regression":
            return NameAnswer(predictions, sample)
    return ColumnAnswer(predictions, sample, probabilities)


def softmax(logits: np.ndarray) -> np.ndarray:
    """(n, t) -> (n, t) float32: exp(x) / sum over classes of exp(x). NaN where a row has NaN or +inf."""
    result = np.empty(logits.shape, np.float32)
    for rows in (slice(i, i + _ROWS) for i in range(0, len(logits), _ROWS)):
        with np.errstate(invalid="ignore"):
            x = logits[rows].astype(np.float64)
            exponents = np.exp(x - x.max(axis=1, keepdims=True))
            result[rows] = exponents / exponents.sum(axis=1, keepdims=True)
    return result


class ColumnAnswer:
    """A row for each id, a column for each target or class."""

    def __init__(self, predictions: Predictions, sample: Sample, probabilities: bool):
        logits = predictions.kind == "logits" and probabilities
        self._values = softmax(predictions.values) if logits else predictions.values
        self._predictions, self._sample = predictions, sample
        self.table = _table(sample.id_column, predictions.ids, predictions.targets, self._values)
        self.faults = (
            _stale(predictions.ids, sample.ids) + _neither(predictions, sample) + _no_classes(sample)
        )

    @cached_property
    def _places(self) -> tuple[np.ndarray | slice, np.ndarray | slice]:
        ours, sample = self._predictions, self._sample
        return positions(ours.ids, sample.ids), positions(ours.targets, sample.columns)

    def cells(self, rows: slice) -> np.ndarray:
        row, column = self._places
        values = self._values[rows if isinstance(row, slice) else row[rows]]
        return values[:, column]


class NameAnswer:
    """A row for each id, with the class of the highest score."""

    def __init__(self, predictions: Predictions, sample: Sample):
        self._predictions, self._sample = predictions, sample
        bad = ~np.isfinite(predictions.values).all(axis=1)
        named = np.where(bad, "nan", predictions.targets[predictions.values.argmax(1)])  # nan: no class
        if sample.holds == "names" or (sample.holds == "either" and is_text(predictions.targets).all()):
            self.table = _table_of_names(sample, predictions.ids, named)
        else:
            scores = np.where(bad, np.nan, 0)[:, None]
            self.table = _table(sample.id_column, predictions.ids, sample.columns, scores)
        self.faults = _stale(predictions.ids, sample.ids) + _no_names(predictions, sample)

    @cached_property
    def _names(self) -> np.ndarray:
        labels = Labels.of(self._predictions)
        return labels.labels[positions(labels.ids, self._sample.ids)]

    def cells(self, rows: slice) -> np.ndarray:
        return self._names[rows, None]


class LongAnswer:
    """A row for each id and target."""

    def __init__(self, predictions: Predictions, sample: Sample, between: list[str]):
        self._long_form = long_form(sample.ids, predictions.ids, predictions.targets, between[0])
        self._values = softmax(predictions.values) if predictions.kind == "logits" else predictions.values
        found = slice(None) if self._long_form.found.all() else self._long_form.found
        self.table = _table(sample.id_column, sample.ids[found], sample.columns, self._of(found))
        self.faults = self._long_form.faults(sample.ids, predictions.ids, predictions.targets)
        if len(between) > 1:
            self.faults.append(
                "the ids of the sample submission can be split into predicted ids and targets in several ways, by "
                + named(between, len(between))
            )

    def _of(self, rows: slice | np.ndarray) -> np.ndarray:
        return self._values[self._long_form.rows[rows], self._long_form.columns[rows]][:, None]

    def cells(self, rows: slice) -> np.ndarray:
        return self._of(rows)


def _table(id_column: str, ids: np.ndarray, columns: np.ndarray, values: np.ndarray) -> Table:
    return Table([id_column, *columns.tolist()], ids, columns, values, Cells.of(values))


def _table_of_names(sample: Sample, ids: np.ndarray, named: np.ndarray) -> Table:
    """What a file of these class names (n,) would be read into."""
    words = dict[str, tuple[int, int]]()
    values, cells = parsed(pd.Series(named, dtype=object))
    count_words(words, named.tolist(), cells, 0)
    header = [sample.id_column, *sample.columns.tolist()]
    return Table(header, ids, sample.columns, values[:, None], cells, words=words)


def _stale(ids: np.ndarray, wanted: np.ndarray) -> list[str]:
    """A sentence where the one ids are some of the others, as when the test images are no longer the sample's."""
    if np.array_equal(ids, wanted):
        return []
    agree = int((pd.Index(ids).get_indexer(pd.Index(wanted)) >= 0).sum())
    fewer, more = sorted((len(ids), len(wanted)))
    if not agree or agree < fewer or fewer == more:
        return []
    return [
        f"the sample submission may be stale: {agree:,} of its {len(wanted):,} ids are among the {len(ids):,} predicted"
    ]


def _no_names(predictions: Predictions, sample: Sample) -> list[str]:
    """A sentence where classes cannot stand in the sample's only column: as 0.5, it asks for a probability."""
    words = sample.holds == "whole" and is_text(predictions.targets).any()
    if sample.holds != "numbers" and not words:
        return []
    column, classes = str(sample.columns[0]), predictions.targets
    return [
        f"the sample's only column, {column!r}, holds numbers{'' if words else ', not whole ones'}, and the "
        f"predictions are of the classes {named(classes, len(classes))}; where a probability is asked for, keep that "
        f"of one class, as the target {column!r} of kind 'probabilities'"
    ]


def _no_classes(sample: Sample) -> list[str]:
    """A sentence where the sample asks for class names, and the predictions are no scores to choose one by."""
    if sample.holds != "names":
        return []
    return [
        f"the sample's only column, {str(sample.columns[0])!r}, holds class names, and the predictions are numbers; "
        "expected kind 'logits' or 'probabilities', with a target for each class"
    ]


def _neither(predictions: Predictions, sample: Sample) -> list[str]:
    """A sentence where the sample looks like the long form, but its ids are not understood."""
    several, some = len(predictions.targets) > 1, len(predictions) > 0
    if len(sample.columns) > 1 or not (several and some) or np.isin(sample.ids, predictions.ids).any():
        return []
    likely = f"{predictions.ids[0]}_{predictions.targets[0]}"
    return [
        f"the sample's only column, {str(sample.columns[0])!r}, is no target, and its ids are not made of a predicted "
        f"id and target either, as {likely!r} would be"
    ]
