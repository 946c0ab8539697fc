"""Reading a CSV with an id column and target columns: ids as text, numbers as float32, faults kept by position.

pandas reads a table column by column, which for 40,000 columns costs a gigabyte. Here a few rows at a time are
laid out as one long column, which pandas parses twice as fast in a fraction of the memory.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from submit.errors import SubmissionError, about

_BLOCK = 50_000  # cells parsed at a time
_KEPT = 100  # cells that are not numbers: all are counted, so many are kept to be named


@dataclass(frozen=True, eq=False)
class Table:
    """header: every column name as written. ids: (n,) unicode. columns: (t,) unicode, the header without the id.

    values: (n, t) float32, NaN where a cell is not a number; bad: (k,) those cells, counted along the rows;
    texts: what the first of them hold.
    """

    header: list[str]
    ids: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    bad: np.ndarray
    texts: list[str]

    def cells(self, positions: np.ndarray, shown: int = 5) -> str:
        """The first few of these cells by id and column, with their text where it is not a number."""
        text = dict(zip(self.bad.tolist(), self.texts, strict=False))
        found = []
        for position in positions[:shown].tolist():
            row, column = divmod(position, len(self.columns))
            name = f"row {str(self.ids[row])!r}, column {str(self.columns[column])!r}"
            found.append(f"{name} ({text[position]!r})" if position in text else name)
        more = f"; and {len(positions) - shown:,} more" if len(positions) > shown else ""
        return "; ".join(found) + more


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with about(path):
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise SubmissionError(f"expected a CSV in UTF-8; {error}.") from error
        except OSError as error:
            raise SubmissionError(f"the file cannot be read ({error.strerror or error}).") from error


def _header(file: TextIO) -> list[str]:
    header = next(csv.reader(file), [])
    if len(header) < 2:
        found = f"found only {header[0]!r}" if header else "the file is empty"
        raise SubmissionError(f"expected a header with an id column and at least one target, {found}.")
    return header


def _records(file: TextIO, width: int, key: int) -> Iterator[tuple[str, str]]:
    """(id, its other cells one a line) for each row; raises where a row has not `width` cells."""
    for number, line in enumerate(file, start=2):
        if '"' in line or key:
            row = next(csv.reader(chain([line], file)), [])  # a quoted cell may go on over several lines
            cells = [cell.replace("\n", " ").replace("\r", " ") for i, cell in enumerate(row) if i != key]
            name, text, found = row[key] if key < len(row) else "", "\n".join(cells), len(row)
        else:
            line = line.rstrip("\r\n")
            name, _, rest = line.partition(",")
            text, found = rest.replace(",", "\n"), line.count(",") + 1 if line else 0
        if not found:
            continue
        if found != width:
            raise SubmissionError(f"row {number} has {found} cells, the header has {width}.")
        yield name, text


def _numbers(text: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """One number a line -> values, positions that are not numbers, their texts. The word nan is a number here."""
    try:
        column = pd.read_csv(
            io.StringIO(text), header=None, sep="\x1f", quoting=csv.QUOTE_NONE, keep_default_na=False,
            skip_blank_lines=False, low_memory=False,
        ).iloc[:, 0]  # fmt: skip
    except ValueError:  # the first line is empty
        column = pd.Series(dtype=object)
    bad, texts = np.empty(0, np.int64), []
    if column.dtype.kind in "iuf" and len(column) == text.count("\n") + 1:  # "True" is not a number
        values = column.to_numpy()
    else:
        cells = pd.Series(text.split("\n"), dtype=object)
        values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
        is_nan = cells.str.strip().str.lower().isin(["nan", "+nan", "-nan"]).to_numpy()
        bad = np.flatnonzero(np.isnan(values) & ~is_nan)
        texts = [cells.iloc[i] for i in bad[:_KEPT]]
    with np.errstate(over="ignore"):
        return values.astype(np.float32), bad, texts


def read_table(path: str | Path, id_column: str | None = None) -> Table:
    """The table at `path`; its ids are in the column named `id_column` if there is one so named, else in the first.

    Raises SubmissionError for a file that is absent, empty, not UTF-8, without a target column, or ragged.
    """
    path = Path(path)
    ids: list[str] = []
    blocks: list[np.ndarray] = []
    bad: list[np.ndarray] = []
    texts: list[str] = []
    with _opened(path) as file:
        header = _header(file)
        key = header.index(id_column) if id_column in header else 0
        columns = [name for i, name in enumerate(header) if i != key]
        records = _records(file, len(header), key)
        while block := list(islice(records, max(1, _BLOCK // len(columns)))):
            values, wrong, words = _numbers("\n".join(text for _, text in block))
            bad.append(wrong + len(ids) * len(columns))
            texts += words[: _KEPT - len(texts)]
            blocks.append(values.reshape(-1, len(columns)))
            ids += [name for name, _ in block]
    values = np.concatenate(blocks) if blocks else np.empty((0, len(columns)), np.float32)
    wrong = np.concatenate(bad) if bad else np.empty(0, np.int64)
    return Table(header, np.array(ids, np.str_), np.array(columns, np.str_), values, wrong, texts)


def read_header(path: str | Path) -> list[str]:
    """The column names of a CSV. Raises SubmissionError as `read_table` does."""
    with _opened(Path(path)) as file:
        return _header(file)


def read_ids(path: str | Path) -> np.ndarray:
    """(n,) the first column below the header, as text, of a CSV of any number of columns.

    Raises SubmissionError for a file that is absent, not UTF-8, or without a row.
    """
    with _opened(Path(path)) as file:
        rows = [row for row in csv.reader(file) if row]
        if len(rows) < 2:
            raise SubmissionError("expected a header and a row for each id, found no row.")
    return np.array([row[0] for row in rows[1:]], np.str_)


def read_names(path: str | Path) -> tuple[list[str], np.ndarray, list[str]]:
    """The header, the first column (n,) as text, and the second as text where it is the only other one, else [].

    Raises SubmissionError as `read_table` does.
    """
    ids: list[str] = []
    cells: list[str] = []
    with _opened(Path(path)) as file:
        header = _header(file)
        for name, text in _records(file, len(header), 0):
            ids.append(name)
            if len(header) == 2:
                cells.append(text)
    return header, np.array(ids, np.str_), cells
