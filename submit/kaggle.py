"""A Kaggle submission: checked against sample_submission.csv, every fault at once, and only then written."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from submit.align import align, differences
from submit.errors import SubmissionError, about, named
from submit.files import atomic
from submit.floats import format_rows
from submit.labels import Labels, is_text
from submit.predictions import Predictions, names
from submit.table import Table, read_header, read_names, read_table

_SHOWN = 5  # columns, ids or cells named in one fault
_CELLS = 2**16  # numbers formatted at a time


@dataclass(frozen=True, eq=False)
class Sample:
    """What a submission must look like: its id column, its ids (n,), its other columns (t,).

    text: whether the only other column holds class names.
    """

    id_column: str
    ids: np.ndarray
    columns: np.ndarray
    text: bool


def read_sample(sample: pd.DataFrame | str | Path) -> Sample:
    """A sample submission from its CSV or a table read with dtype=str, keep_default_na=False; ids come first.

    Raises SubmissionError when it is none: no target column, ids or columns that repeat.
    """
    if isinstance(sample, pd.DataFrame):
        source, header = "the sample submission", [str(name) for name in sample.columns]
        ids = sample.iloc[:, 0].astype(str).to_numpy()
        cells = sample.iloc[:, 1].astype(str).tolist() if len(header) == 2 else []
    else:
        source = str(sample)
        header, ids, cells = read_names(sample)
    with about(source):
        if len(header) < 2:
            raise SubmissionError(f"expected an id column and at least one target, found {header}.")
        columns = names(header, "columns")[1:]
        return Sample(header[0], names(ids, "ids"), columns, text=bool(is_text(cells).any()))


def check(
    submission: Predictions | pd.DataFrame | str | Path, sample: pd.DataFrame | str | Path
) -> list[str]:
    """Every fault of a submission, in Kaggle's words where it has them; an empty list when there is none.

    submission: a CSV, a predictions npz, predictions, or a table. As for Kaggle, the order of columns and rows is free.
    Raises SubmissionError only for a sample submission that cannot be used.
    """
    expected = read_sample(sample)
    try:
        if isinstance(submission, str | Path) and Path(submission).suffix.lower() != ".csv":
            submission = Predictions.load(submission)
        if isinstance(submission, Predictions):
            return faults(_as_table(submission, expected), expected)
        if isinstance(submission, pd.DataFrame):
            return faults(_from_frame(submission, expected), expected)
        if len(read_header(submission)) > 2:
            return faults(read_table(submission, expected.id_column), expected)
        header, ids, cells = read_names(submission)
        frame = pd.DataFrame({0: ids, 1: cells}).set_axis(header, axis=1)
        return faults(_from_frame(frame, expected), expected)
    except SubmissionError as error:
        return [str(error)]


def faults(table: Table, sample: Sample) -> list[str]:
    """Every fault of a table that stands against `sample`."""
    found = _column_faults(table.header, [sample.id_column, *sample.columns.tolist()])
    if len(table.ids) != len(sample.ids):
        found.append(f"Submission must have {len(sample.ids)} rows; it has {len(table.ids)}")
    if sample.id_column in table.header:
        repeated = table.ids[pd.Index(table.ids).duplicated()]
        if len(repeated):
            again = pd.unique(pd.Series(repeated))
            found.append(f"{len(repeated):,} rows repeat an id: {named(again, len(again))}")
        found += differences(table.ids, sample.ids, "ids", "the submission")
    return found + _cell_faults(table, sample)


def write(
    predictions: Predictions, path: str | Path, sample: pd.DataFrame | str | Path | None = None
) -> Path:
    """Writes a submission CSV, in the sample's order of rows and columns; without a sample, as the predictions are.

    Where the sample has one column of its own and the predictions are logits or probabilities, the class with
    the highest score is written. Numbers take the fewest digits that give the same float32 back.
    Raises SubmissionError with every fault found, before anything is written.
    """
    own = Sample("id", predictions.ids, predictions.targets, text=False)
    expected = own if sample is None else read_sample(sample)
    found = faults(_as_table(predictions, expected), expected)
    if found:
        raise SubmissionError(f"{path} was not written:\n" + "\n".join(f"- {fault}" for fault in found))
    if _by_class(predictions, expected):
        _write_labels(Labels.of(predictions), path, expected)
    else:
        _write_numbers(align(predictions, expected.ids, expected.columns), path, expected.id_column)
    return Path(path)


def _by_class(predictions: Predictions, sample: Sample) -> bool:
    """Whether the sample asks for a class name where the predictions have scores of classes."""
    return (
        predictions.kind != "regression"
        and len(sample.columns) == 1
        and not np.array_equal(sample.columns, predictions.targets)
    )


def _write_labels(labels: Labels, path: str | Path, sample: Sample) -> None:
    order = pd.Index(labels.ids).get_indexer(pd.Index(sample.ids))
    rows = zip(sample.ids.tolist(), labels.labels[order].tolist(), strict=True)
    with atomic(path) as file:
        file.write(
            b"".join(_csv_line(list(row)) + b"\n" for row in [(sample.id_column, sample.columns[0]), *rows])
        )


def _write_numbers(predictions: Predictions, path: str | Path, id_column: str) -> None:
    ids, values = predictions.ids.tolist(), predictions.values
    step = max(1, _CELLS // values.shape[1])
    with atomic(path) as file:
        file.write(_csv_line([id_column, *predictions.targets.tolist()]) + b"\n")
        for start in range(0, len(ids), step):
            lines = format_rows(values[start : start + step]).splitlines(keepends=True)
            rows = zip(ids[start : start + step], lines, strict=True)
            file.write(b"".join(_csv_line([name]) + b"," + line for name, line in rows))


def _csv_line(cells: list[str]) -> bytes:
    """Cells as CSV, quoted only where needed, without the end of the line. One empty cell is empty, not quoted."""
    if cells == [""]:
        return b""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode()


def _as_table(predictions: Predictions, sample: Sample) -> Table:
    """Predictions as the table they would be written as; scores of classes stand for the one column asked for."""
    values, columns = predictions.values, predictions.targets
    if _by_class(predictions, sample):
        worst = np.where(np.isfinite(values).all(axis=1), 0.0, np.nan).astype(np.float32)
        values, columns = worst[:, None], sample.columns
    return Table(
        [sample.id_column, *columns.tolist()], predictions.ids, columns, values, np.empty(0, np.int64), []
    )


def _from_frame(frame: pd.DataFrame, sample: Sample) -> Table:
    header = [str(name) for name in frame.columns]
    if len(header) < 2:
        raise SubmissionError(f"Expected an id column and at least one target, found the columns {header}.")
    key = header.index(sample.id_column) if sample.id_column in header else 0
    others = [i for i in range(len(header)) if i != key]
    ids = frame.iloc[:, key].astype(str).to_numpy().astype(np.str_)
    cells, texts = frame.iloc[:, others], {}
    for column in np.flatnonzero([not pd.api.types.is_numeric_dtype(kind) for kind in cells.dtypes]).tolist():
        text = cells.iloc[:, column].astype(object).fillna("").astype(str).to_numpy(object)
        empty = pd.Series(text, dtype=object).str.strip() == ""
        wrong = np.flatnonzero(is_text(text) | empty.to_numpy(bool))
        texts.update({int(row) * len(others) + column: text[row] for row in wrong})
    if texts or not all(map(pd.api.types.is_numeric_dtype, cells.dtypes)):
        cells = cells.apply(pd.to_numeric, errors="coerce")
    with np.errstate(over="ignore"):
        values = cells.to_numpy(np.float64, na_value=np.nan).astype(np.float32)
    bad = sorted(texts)
    columns = np.array([header[i] for i in others], np.str_)
    return Table(header, ids, columns, values, np.array(bad, np.int64), [texts[i] for i in bad])


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
    if len(repeated):
        found.append(f"{len(repeated):,} columns occur more than once: {named(repeated, len(repeated))}")
    return found


def _cell_faults(table: Table, sample: Sample) -> list[str]:
    found = []
    if len(table.columns) == 1 and (sample.text or len(table.bad) == len(table.ids)):  # class names
        empty = table.bad[[not text.strip() for text in table.texts]]
        if len(empty):
            found.append(f"{len(empty):,} cells are empty: {table.cells(empty, _SHOWN)}")
    elif len(table.bad):
        found.append(f"{len(table.bad):,} cells are not numbers: {table.cells(table.bad, _SHOWN)}")
    if np.isfinite(table.values).all():
        return found
    flat = table.values.ravel()
    nan = np.setdiff1d(np.flatnonzero(np.isnan(flat)), table.bad)
    infinite = np.flatnonzero(np.isinf(flat))
    for what, cells in {"NaN": nan, "infinite": infinite}.items():
        if len(cells):
            found.append(f"{len(cells):,} cells are {what}: {table.cells(cells, _SHOWN)}")
    return found
