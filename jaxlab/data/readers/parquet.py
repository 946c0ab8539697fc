"""Parquet columns under the rules of `columns`: text stands as it is, a missing cell is empty, numbers are numbers."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlab.core.types import UserError
from submit.late import Late

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")

_INDEX = "__index_level_"  # what pandas calls an index without a name; it is no column of the table


def parquet_header(path: Path) -> list[str]:
    """The column names. Raises UserError where it is no Parquet file."""
    return [name for name in _opened(path).schema_arrow.names if not name.startswith(_INDEX)]


def parquet_columns(path: Path, text: Sequence[str], inferred: Sequence[str]) -> "pd.DataFrame":
    """The columns `text` as strings, whole numbers as their decimal digits; `inferred` as numbers where they are.

    Raises UserError for columns of another type: for `text` also floats, which say `1.0` where the id was 1.
    """
    with _readable(path):
        table = _opened(path).read(columns=[*text, *inferred])
    columns, problems = {}, []
    for name in (*text, *inferred):
        column = _plain(table[name])
        kind = str(column.type)
        if kind not in ("string", "int64", "uint64", "bool") and (name in text or kind != "double"):
            wanted = "text or whole numbers" if name in text else "numbers or text"
            problems.append(f"column {name!r} holds {table[name].type}, expected {wanted}")
        elif name in text or kind in ("string", "bool"):
            columns[name] = column.cast("string").fill_null("").to_pandas()
        else:
            columns[name] = column.to_pandas()
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    return pd.DataFrame(columns)


def _plain(column: Any) -> Any:
    """As string, int64, uint64, double or bool where that loses nothing; other types as they are."""
    import pyarrow

    types, kind = pyarrow.types, column.type
    if types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if (
        types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    ):  # null: no cell, or all missing
        return column.cast(pyarrow.string())
    if types.is_signed_integer(kind):
        return column.cast(pyarrow.int64())
    if types.is_unsigned_integer(kind):
        return column.cast(pyarrow.uint64())
    if types.is_floating(kind) or types.is_decimal(kind):
        return column.cast(pyarrow.float64())
    return column


def _opened(path: Path) -> Any:
    from pyarrow import parquet

    with _readable(path):
        return parquet.ParquetFile(path)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Footer and columns are read one after the other, and either may be damaged."""
    try:
        yield
    except Exception as error:  # of pyarrow, by what is damaged
        words = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as Parquet ({words:.200})") from error
