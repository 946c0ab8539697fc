"""Responses to single presentations, from a file, matched with a solution."""

from pathlib import Path

import numpy as np
import pandas as pd

from submit.alignment import matched
from submit.errors import SubmissionError, about
from submit.files.csv_table import read_table
from submit.files.zips import read_npz
from submit.precision import as_precise
from submit.predictions import names

_KEYS = ("ids", "values", "targets")


def load_repeats(path: str | Path, ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n, r, t) as precise as `Predictions`, in the order of `ids` and `targets`.

    NaN where an image has fewer than r presentations.

    A .npz holds ids (n,), values (n, r, t) and targets (t,); a .csv is like the solution's, with a row a presentation,
    so that an id is there once for each. Raises SubmissionError when ids or targets are not those of the solution, for
    cells that are not numbers, and where no id has two presentations.
    """
    path = Path(path)
    if path.suffix.lower() not in (".npz", ".csv"):
        raise SubmissionError(f"{path}: expected a .npz or .csv file.")
    table = _read_npz if path.suffix.lower() == ".npz" else _read_csv
    with about(path):
        have, columns, values = table(path)
        rows = matched(have, ids, "ids", "the repeats")
        values = values[rows][:, :, matched(columns, targets, "targets", "the repeats")]
        if not ((~np.isnan(values)).sum(1) > 1).any():
            raise SubmissionError("expected ids with two or more presentations, found none.")
        return as_precise(values.reshape(-1, len(targets))).reshape(values.shape)


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids, values, targets = read_npz(path, _KEYS).values()
    ids, targets = names(ids, "ids"), names(targets, "targets")
    if values.ndim != 3 or values.dtype.kind not in "fiu" or values.shape[::2] != (len(ids), len(targets)):
        raise SubmissionError(
            f"values: expected numbers ({len(ids)}, repeats, {len(targets)}); found {values.dtype} of shape "
            f"{values.shape}."
        )
    return ids, targets, values.astype(np.float64) if values.dtype.kind != "f" else values


def _read_csv(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = read_table(path)
    table.require_numbers()
    of, ids = pd.factorize(table.ids)
    turn = pd.Series(of).groupby(of).cumcount().to_numpy()
    values = np.full((len(ids), turn.max(initial=0) + 1, len(table.columns)), np.nan)
    values[of, turn] = table.values
    return np.asarray(ids, np.str_), names(table.columns, "columns"), values
