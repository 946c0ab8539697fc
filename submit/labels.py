"""Class names of samples: a classification submission, or its solution."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from submit.errors import SubmissionError, about, named
from submit.files.csv_table import parsed, read_names
from submit.predictions import Predictions, names


@dataclass(frozen=True, eq=False)
class Labels:
    """ids (n,) unicode, unique; labels (n,) unicode, the class name of each; name: the label column's.

    Raises SubmissionError for ids that repeat and labels that are empty.
    """

    ids: np.ndarray
    labels: np.ndarray
    name: str = "label"

    def __post_init__(self) -> None:
        ids, labels = names(self.ids, "ids"), np.asarray(self.labels, np.str_)
        if labels.shape != ids.shape:
            raise SubmissionError(
                f"expected one label for each of {len(ids)} ids, found shape {labels.shape}."
            )
        empty = ids[labels == ""]
        if len(empty):
            raise SubmissionError(f"{len(empty)} labels are empty, at id {named(empty, len(empty))}.")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "labels", labels)

    @classmethod
    def load(cls, path: str | Path) -> "Labels":
        """Reads a CSV of two columns, ids and class names, both as text."""
        header, ids, labels = read_names(path)
        with about(path):
            return cls(ids, labels, header[1])

    @classmethod
    def of(cls, predictions: Predictions, name: str = "label") -> "Labels":
        """The class with the highest score for each sample; of equal scores the one listed first."""
        if predictions.kind == "regression":
            raise SubmissionError(
                "Predictions of kind 'regression' have no classes; expected logits or probabilities."
            )
        bad = ~np.isfinite(predictions.values).all(axis=1)
        if bad.any():
            raise SubmissionError(
                f"{bad.sum()} samples have scores that are not finite: {named(predictions.ids[bad], int(bad.sum()))}."
            )
        return cls(predictions.ids, predictions.targets[predictions.values.argmax(axis=1)], name)


def is_text(cells: Sequence[str] | np.ndarray) -> np.ndarray:
    """Which cells can only be names: neither a number, nor the word nan, nor empty."""
    found = parsed(pd.Series(cells, dtype=object))[1]
    text = np.zeros(len(cells), bool)
    text[found.bad] = True
    text[found.empty] = False
    return text
