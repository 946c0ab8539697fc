"""Columns of a CSV or Parquet file, strictly: ids stay strings, numbers are finite, every bad cell is named."""

import csv
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.precision import narrowed
from jaxlab.core.types import UserError
from jaxlab.data.readers.parquet import parquet_columns, parquet_header
from jaxlab.data.source import LEAVE_OUT, duplicates, examples
from submit.files.encodings import of_nul, of_undecoded
from submit.late import Late
from submit.near_names import composed, difference

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")


def read_header(path: Path) -> list[str]:
    """The column names; a column without one is "". Raises UserError for a missing file, or one that fits no table."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    header = parquet_header(path) if path.suffix == ".parquet" else _csv_header(path)
    if twice := duplicates(np.array([name for name in header if name.strip()], dtype=str)).tolist():
        raise UserError(f"{path}: these columns occur more than once: {examples(twice)}")
    return header


def _csv_header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header, first = next(rows, []), next(rows, [])
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a CSV in UTF-8 ({of_undecoded(error)})") from error
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV in UTF-8 ({error})") from error
    if fault := of_nul(",".join(header)):
        raise UserError(f"{path}: not a CSV in UTF-8 ({fault})")
    if not header:
        raise UserError(f"{path}: expected a header line, found an empty file")
    _check_separator(path, header, first)
    if len(first) > len(header):  # pandas would take the first column for an index
        why = "a comma at the end of each line" if not first[-1] else "an index in front, which has no name"
        raise UserError(
            f"{path}: the rows have {len(first)} cells, more than the {len(header)} columns of the header: {why}? "
            "pandas leaves an index out with to_csv(..., index=False)"
        )
    return [name.strip() and name for name in header]


_GAPS = ("", "nan", "na", "n/a", "null", "none")  # cells of no number, in small letters
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _check_separator(path: Path, header: list[str], first: list[str]) -> None:
    """Raises UserError for a table whose cells are not separated by commas."""
    for separator, words in _SEPARATORS.items():
        if len(header) == 1 and header[0].count(separator):
            decimal = ", decimal=','" if re.search(r"\d,\d", ",".join(first)) else ""
            raise UserError(
                f"{path}: cells are separated by {words}, expected commas"
                f"{' (and a point in numbers, where it has commas)' if decimal else ''}; "
                f"pandas.read_csv(PATH, sep={separator!r}{decimal}, dtype={{'ID': str}}).to_csv(PATH, index=False) "
                "rewrites it"
            )


def is_nameless(column: str) -> bool:
    """Whether a column has no name, or the one that pandas gives to such: an index that was saved, a comma too many."""
    return not column.strip() or re.fullmatch(r"Unnamed: \d+(_level_\d+)?", column) is not None


def read_columns(path: Path, text: Sequence[str], inferred: Sequence[str] = ()) -> "pd.DataFrame":
    """The columns `text` as strings just as they stand (`0001`, `NA`); `inferred` as numbers where they are.

    Raises UserError for missing columns, rows longer than the header and a file without rows.
    """
    header = read_header(path)
    if missing := [name for name in (*text, *inferred) if name not in header]:
        near = difference(missing, header)
        raise UserError(
            f"{path}: no column {examples(map(repr, missing))}; it has {len(header)}: {examples(header)}"
            f"{f'; {near}' if near else ''}"
        )
    parquet = path.suffix == ".parquet"
    table = parquet_columns(path, text, inferred) if parquet else _csv(path, text, len(header))
    if table.empty:
        raise UserError(f"{path}: expected at least one row below the header, found none")
    return table[[*text, *inferred]]


def _csv(path: Path, text: Sequence[str], columns: int) -> "pd.DataFrame":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                compression=None,  # which its name would choose
                dtype=dict.fromkeys(text, str),
                keep_default_na=False,
                low_memory=False,
                encoding="utf-8-sig",
            )
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a CSV in UTF-8 ({of_undecoded(error)})") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise UserError(
            f"{path}: cannot be read as a CSV of {columns} columns ({str(error).strip()})"
        ) from error


def ids_of(table: "pd.DataFrame", column: str, path: Path, problems: list[str]) -> np.ndarray:
    """(n,) unicode ids; empty and repeated ones are added to `problems`."""
    ids = strings(table[column])
    place, first = ("row", 1) if path.suffix == ".parquet" else ("line", 2)
    if empty := (np.flatnonzero(np.char.strip(ids) == "") + first).tolist():
        problems.append(f"{path}: {len(empty)} empty ids in column {column!r} ({place} {examples(empty)})")
    if twice := [name for name in duplicates(ids).tolist() if name.strip()]:
        problems.append(
            f"{path}: {len(twice)} ids occur more than once in column {column!r} ({examples(twice)})"
        )
    if alike := _same_letters(ids):
        problems.append(
            f"{path}: {len(alike)} ids in column {column!r} are written in two Unicode forms ({examples(alike)})"
        )
    return ids


def _same_letters(names: np.ndarray) -> list[str]:
    """Names that occur in two Unicode forms, NFC and NFD, in the composed one."""
    odd = [name for name in np.unique(names).tolist() if not name.isascii()]
    return duplicates(np.array([composed(name) for name in odd], dtype=str)).tolist()


def strings(values: "pd.Series") -> np.ndarray:
    """(n,) unicode; a cell that a short row lacks is empty."""
    return values.fillna("").to_numpy(dtype=object).astype(str)


def numbers(
    table: "pd.DataFrame", ids: np.ndarray, path: Path, problems: list[str], missing: bool = False
) -> np.ndarray:
    """(n, t) of all columns, float32 or (`narrowed`) float64.

    Cells that are empty, text or not finite are added to `problems`. missing: those that are empty, or say that there
    is no number (`is_gap`), are NaN instead.
    """
    plain = np.array([_is_plain(table[name]) for name in table.columns])
    exact = np.empty(table.shape, np.float64)
    exact[:, plain] = table.loc[:, plain].to_numpy(np.float64)
    gap = np.isnan(exact) & plain[None]
    for position in np.flatnonzero(~plain).tolist():
        cells = table[table.columns[position]].astype(str)
        exact[:, position] = pd.to_numeric(cells, errors="coerce")
        gap[:, position] = is_gap(cells.to_numpy(dtype=object).astype(str))
    values = narrowed(exact)
    bad = np.argwhere(~np.isfinite(values) & ~(gap & missing))
    if len(bad):
        shown = [f"{ids[r]}, column {table.columns[c]!r}: {_shown(table.iat[r, c])}" for r, c in bad[:5]]
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        problems.append(
            f"{path}: {len(bad)} target values are not finite numbers ({'; '.join(shown)}{more}). "
            f"{_advice(str(table.iat[row, column]) for row, column in bad[:5])}"
            f"{'' if missing or not gap.any() else f'; {LEAVE_OUT}'}"
        )
    return values


def is_gap(cells: np.ndarray) -> np.ndarray:
    """(n,) bool: which cells say that there is no number."""
    return np.isin(np.char.lower(np.char.strip(cells)), _GAPS)


def _advice(cells: Iterable[str]) -> str:
    if all(re.fullmatch(r"\s*[+-]?[\d.]*,\d+\s*", cell) for cell in cells):
        return "Expected a point in numbers, where these have a comma: pandas.read_csv(PATH, decimal=',') reads them"
    return "A column that is no target belongs in data.columns, a column of class names in data.label"


def _is_plain(values: "pd.Series") -> bool:
    return values.dtype.kind in "iuf"


def _shown(cell: object) -> str:
    return "empty" if cell == "" or cell is None else repr(str(cell))


def is_text(values: "pd.Series") -> bool:
    """Whether not one of the cells reads as a number; `nan` is a failed number, not a name."""
    if _is_plain(values):
        return False
    cells = values.astype(str).str.strip()
    cells = cells[cells != ""]
    number = pd.to_numeric(cells, errors="coerce").notna() | (cells.str.lower() == "nan")
    return len(cells) > 0 and not number.any()


def classes_of(cells: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """(n,) int32 labels and the class names: sorted, by value where all of them are whole numbers."""
    names = np.unique(cells).tolist()
    if twice := _same_letters(cells):
        raise UserError(
            f"classes: {examples(twice)} are written in two Unicode forms (NFC and NFD), which would be two classes "
            "each; expected one: unicodedata.normalize('NFC', name)"
        )
    if all(name.isdecimal() for name in names):
        names = sorted(names, key=lambda name: (int(name), name))
    position = {name: label for label, name in enumerate(names)}
    return np.array([position[cell] for cell in cells.tolist()], np.int32), tuple(names)
