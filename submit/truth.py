"""The truth of labelled samples, out of a table that may hold other columns too."""

from pathlib import Path

import numpy as np

from submit.errors import SubmissionError, about, named
from submit.files.csv_table import read_table
from submit.files.usage import read_usage
from submit.labels import Labels
from submit.predictions import Predictions


def load_truth(path: str | Path, predicted: Predictions) -> Predictions | Labels:
    """The truth for predictions like `predicted`: of their targets, in the file's order, or of classes `Labels`.

    path: a competition's train.csv or a solution (ids in the first column; other columns than the targets may hold
    anything), or an npz of true values. Raises SubmissionError where targets are not there, cells are no numbers, or
    an npz holds predictions.
    """
    if predicted.kind != "regression":
        return Labels.load(path)
    if Path(path).suffix.lower() != ".csv":
        return load_true(path)
    table = read_table(path)
    with about(path):
        lacking = predicted.targets[~np.isin(predicted.targets, table.columns)]
        if len(lacking):
            raise SubmissionError(
                f"{len(lacking):,} predicted targets are not among its columns: {named(lacking, len(lacking))}."
            )
        wanted = np.isin(table.columns, predicted.targets)
        table.require_numbers(wanted)
        return Predictions(table.ids, table.values[:, wanted], table.columns[wanted], split="")


def load_true(path: str | Path) -> Predictions:
    """Predictions.load of true values, without a column Usage, as of Kaggle's solutions.

    Raises SubmissionError, too, for the predictions of a run or an ensemble.
    """
    if read_usage(path):
        table = read_table(path)
        values = np.arange(len(table.columns)) < len(table.columns) - 1
        with about(path):
            table.require_numbers(values)
            return Predictions(table.ids, table.values[:, values], table.columns[values], split="")
    truth = Predictions.load(path)
    run, ensemble = truth.provenance.get("run"), truth.provenance.get("ensemble")
    if run or ensemble:
        of = f"run {run}" if run else "an ensemble"
        raise SubmissionError(
            f"{path} holds predictions of {of}; expected true values: did you swap the arguments?"
        )
    return truth
