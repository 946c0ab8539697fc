"""Every fault of a submission, in Kaggle's words where it has them."""

from pathlib import Path

import numpy as np
import pandas as pd

from submit.alignment import differences
from submit.errors import SubmissionError, named
from submit.files.csv_records import is_csv
from submit.files.csv_table import Table, read_table
from submit.formats.kaggle.answers import answer
from submit.formats.kaggle.class_names import class_name_faults
from submit.formats.kaggle.frames import from_frame
from submit.formats.kaggle.sample import SUM_TOLERANCE, Sample, read_sample
from submit.near_names import difference
from submit.predictions import Predictions

_SHOWN = 5  # columns, ids or cells named in one fault


def check(
    submission: Predictions | pd.DataFrame | str | Path, sample: pd.DataFrame | str | Path
) -> list[str]:
    """Every fault of a submission; an empty list when there is none.

    submission: a CSV (also as .csv.gz or in a .zip), a predictions npz, predictions, or a table. As for Kaggle, the
    order of columns and rows is free.
    Raises SubmissionError only for a sample submission that cannot be used.
    """
    expected = read_sample(sample)
    try:
        if isinstance(submission, str | Path) and not is_csv(submission):
            submission = Predictions.load(submission)
        if isinstance(submission, Predictions):
            form = answer(submission, expected)
            return [*faults(form.table, expected), *form.faults]
        columns = expected.columns.tolist()
        if isinstance(submission, pd.DataFrame):
            return faults(from_frame(submission, expected.id_column, columns), expected)
        return faults(read_table(submission, expected.id_column, columns), expected)
    except SubmissionError as error:
        return [str(error)]


def faults(table: Table, sample: Sample) -> list[str]:
    """Every fault of a table that stands against `sample`."""
    found = [] if table.ragged is None else [table.ragged]
    found += _column_faults(table.header, [sample.id_column, *sample.columns.tolist()])
    if len(table.ids) != len(sample.ids):
        found.append(f"Submission must have {len(sample.ids)} rows; it has {len(table.ids)}")
    if not np.array_equal(table.ids, sample.ids):
        found += _id_faults(table, sample)
    found += _cell_faults(table, sample)
    if sample.holds == "probabilities":
        found += _probability_faults(table, sample)
    return found


def _id_faults(table: Table, sample: Sample) -> list[str]:
    if sample.id_column not in table.header and not np.isin(table.ids, sample.ids).any():
        return []  # what stands for them holds something else
    repeated, found = table.ids[pd.Index(table.ids).duplicated()], []
    if len(repeated):
        again = pd.unique(pd.Series(repeated))
        found.append(f"{len(repeated):,} rows repeat an id: {named(again, len(again))}")
    return found + differences(table.ids, sample.ids, "ids", "the submission")


def _column_faults(header: list[str], expected: list[str]) -> list[str]:
    wanted, there = set(expected), set(header)
    missing = [name for name in expected if name not in there]
    extra = [(name, place) for place, name in enumerate(header, start=1) if name not in wanted]
    repeated = pd.unique(pd.Series(header, dtype=object)[pd.Index(header).duplicated()])
    found = [f"Required column {name!r} could not be found" for name in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        found.append(f"{len(missing) - _SHOWN:,} more required columns could not be found")
    found += [f"Unexpected Column: {name!r} (Line 1, Column {place})" for name, place in extra[:_SHOWN]]
    if len(extra) > _SHOWN:
        found.append(f"{len(extra) - _SHOWN:,} more unexpected columns")
    if near := difference(missing, [name for name, _ in extra]) if missing and extra else "":
        found.append(f"columns: {near}")
    if len(repeated):
        found.append(f"{len(repeated):,} columns occur more than once: {named(repeated, len(repeated))}")
    return found


def _cell_faults(table: Table, sample: Sample) -> list[str]:
    cells = table.cells
    all_text = len(cells.bad) == len(table.ids)
    if len(table.columns) == 1 and (sample.holds == "names" or (sample.holds == "either" and all_text)):
        found, more = {"empty": cells.empty, "NaN": cells.nan}, class_name_faults(table, sample, _SHOWN)
    else:
        more = []
        found = {"not numbers": cells.bad, "NaN": cells.nan, "infinite": cells.infinite}
    return [
        f"{len(where):,} cells are {what}: {table.located(where, _SHOWN)}"
        for what, where in found.items()
        if len(where)
    ] + more


def _probability_faults(table: Table, sample: Sample) -> list[str]:
    """The words are those of Kaggle's own metrics."""
    found, values = [], table.values
    low, high = np.flatnonzero(values.ravel() < 0), np.flatnonzero(values.ravel() > 1)
    if len(low):
        found.append(f"All target values in submission must be at least zero: {table.located(low, _SHOWN)}")
    if len(high):
        found.append(
            f"All target values in submission must be no greater than one: {table.located(high, _SHOWN)}"
        )
    if sorted(table.columns.tolist()) == sorted(sample.columns.tolist()):
        sums = values.sum(axis=1, dtype=np.float64)
        off = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)  # not the NaN of cells named already
        if len(off):
            some = ", ".join(f"{str(table.ids[row])!r} ({sums[row]:.4g})" for row in off[:_SHOWN].tolist())
            more = f" and {len(off) - _SHOWN:,} more" if len(off) > _SHOWN else ""
            found.append(f"Target values in submission do not add to one within all rows: {some}{more}")
    return found
