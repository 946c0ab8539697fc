"""Reading a whole CSV of an id column and target columns: ids as text, numbers as float64, faults by position.

pandas reads a table column by column, which for 40,000 columns costs a gigabyte. Here a few rows at a time are
laid out as one long column, which pandas parses twice as fast in a fraction of the memory.
"""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from submit.errors import SubmissionError, shortened
from submit.files.csv_records import Ragged, header_of, open_csv, record_blocks
from submit.files.usage import target_columns
from submit.late import Late

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")

_KEPT = 100  # cells that are not numbers: all are counted, so many are kept to be named


@dataclass(frozen=True, eq=False)
class Cells:
    """Positions, counted along the rows, of the cells that hold no finite number.

    bad: neither a number nor the word nan; empty: those of them that are blank; nan; infinite (1e300 is a number,
    though not a float32). texts: what the first of `bad` hold.
    """

    bad: np.ndarray
    empty: np.ndarray
    nan: np.ndarray
    infinite: np.ndarray
    texts: list[str]

    @classmethod
    def of(cls, values: np.ndarray) -> "Cells":
        """Of an array of numbers."""
        none, flat = np.empty(0, np.int64), values.ravel()
        if np.isfinite(flat).all():
            return cls(none, none, none, none, [])
        return cls(none, none, np.flatnonzero(np.isnan(flat)), np.flatnonzero(np.isinf(flat)), [])

    @classmethod
    def joined(cls, parts: list["Cells"], starts: list[int]) -> "Cells":
        """Those of consecutive blocks, which start at the cells `starts`."""

        def all_of(name: str) -> np.ndarray:
            found = [getattr(part, name) + start for part, start in zip(parts, starts, strict=True)]
            return np.concatenate([np.empty(0, np.int64), *found])

        texts = list(islice(chain.from_iterable(part.texts for part in parts), _KEPT))
        return cls(all_of("bad"), all_of("empty"), all_of("nan"), all_of("infinite"), texts)


@dataclass(frozen=True, eq=False)
class Table:
    """header: every column name as written. ids: (n,) unicode. columns: (t,) unicode, the header without the id.

    values: (n, t) float64, NaN where a cell is not a number; cells: which are no finite numbers.
    words: of a single column, text -> (how many cells hold it, the row of the first), of cells that are no numbers.
    ragged: a sentence on the rows that have not as many cells as the header, or None; their values mean nothing.
    """

    header: list[str]
    ids: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    cells: Cells
    ragged: str | None = None
    words: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def require_numbers(self, wanted: np.ndarray | None = None) -> None:
        """Raises SubmissionError for ragged rows and for cells that are no numbers, of the columns (t,) bool wanted."""
        faults = [] if self.ragged is None else [self.ragged]
        bad = self.cells.bad
        if wanted is not None:
            bad = bad[wanted[bad % len(self.columns)]]
        if len(bad):
            faults.append(f"{len(bad):,} cells are not numbers: {self.located(bad)}")
        if faults:
            raise SubmissionError(f"{'; '.join(faults)}.")

    def located(self, positions: np.ndarray, shown: int = 5) -> str:
        """The first few of these cells by id and column, with their text where it is not a number."""
        text = dict(zip(self.cells.bad.tolist(), self.cells.texts, strict=False))
        found = []
        for position in positions[:shown].tolist():
            row, column = divmod(position, len(self.columns))
            name = f"row {str(self.ids[row])!r}, column {str(self.columns[column])!r}"
            found.append(f"{name} ({shortened(text[position])!r})" if position in text else name)
        more = f"; and {len(positions) - shown:,} more" if len(positions) > shown else ""
        return "; ".join(found) + more


def count_words(words: dict[str, tuple[int, int]], texts: Sequence[str], cells: Cells, start: int) -> None:
    """Adds to `words`, as in `Table`, those of the texts (n,) that are no numbers; they begin at the row `start`."""
    for place in cells.bad.tolist():
        count, first = words.get(texts[place], (0, start + place))
        words[texts[place]] = count + 1, first


def numbers(text: str) -> tuple[np.ndarray, Cells]:
    """One number a line -> float64 values, NaN where it is none, and which these are."""
    if "\0" in text:  # where pandas before 3 ends a cell: it reads 5 of "5\0"
        return parsed(pd.Series(text.split("\n"), dtype=object))
    try:
        table = pd.read_csv(
            io.StringIO(text), header=None, sep="\x1f", quoting=csv.QUOTE_NONE, keep_default_na=False,
            skip_blank_lines=False, low_memory=False,
        )  # fmt: skip
    except ValueError:  # the first line is empty
        table = pd.DataFrame()
    if table.shape == (text.count("\n") + 1, 1) and table.dtypes[0].kind in "iuf":  # "True" is not a number
        values = table[0].to_numpy(np.float64)
        return values, Cells.of(values)
    return parsed(pd.Series(text.split("\n"), dtype=object))


def parsed(cells: "pd.Series") -> tuple[np.ndarray, Cells]:
    """Texts -> float64 values, NaN where they are no numbers, and which these are. The word nan is a number here."""
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64, copy=True)  # pandas 3 gives a view
    words = cells.str.strip().str.lower()
    values[words.str.contains("\0", regex=False).to_numpy(bool)] = np.nan
    bad = np.isnan(values) & ~words.isin(["nan", "+nan", "-nan"]).to_numpy(bool)
    empty = np.flatnonzero(bad & (words == "").to_numpy(bool))
    nan, texts = np.flatnonzero(np.isnan(values) & ~bad), cells[bad].iloc[:_KEPT].tolist()
    return values, Cells(np.flatnonzero(bad), empty, nan, np.flatnonzero(np.isinf(values)), texts)


def read_table(path: str | Path, id_column: str | None = None, columns: Collection[str] = ()) -> Table:
    """The table at `path`; its ids are in the column named `id_column`, or in the first where no name is given.

    columns: names that the others are expected to have. Where no column has the name, that with another spelling of it
    stands for it, else the first that is not among `columns`; if there is none, rows are numbered (`#2`).
    Raises SubmissionError for a file that is absent, empty, not UTF-8, or without a target column.
    """
    ids: list[np.ndarray] = []
    blocks: list[np.ndarray] = []
    cells: list[Cells] = []
    words: dict[str, tuple[int, int]] = {}
    with open_csv(path) as file:
        header = header_of(file, id_column)
        key, ragged = id_place(header, id_column, columns), Ragged(len(header))
        others = [name for i, name in enumerate(header) if i != key]
        for block, text in record_blocks(file, len(header), key, ragged):
            values, found = numbers(text)
            if len(others) == 1 and len(found.bad):
                count_words(words, text.split("\n"), found, sum(map(len, ids)))
            ids.append(np.array(block, np.str_))
            blocks.append(values.reshape(-1, len(others)))
            cells.append(found)
    starts = np.cumsum([0, *(block.size for block in blocks)])[:-1].tolist()
    return Table(
        header,
        np.concatenate(ids) if ids else np.empty(0, np.str_),
        np.array(others, np.str_),
        np.concatenate(blocks) if blocks else np.empty((0, len(others))),
        Cells.joined(cells, starts),
        ragged.sentence(),
        words,
    )


def id_place(header: list[str], id_column: str | None, columns: Collection[str]) -> int | None:
    """Which column holds the ids, as `read_table` says; None when none can."""
    if id_column is None:
        return 0
    if id_column in header:
        return header.index(id_column)
    known = set(columns)
    others = [i for i, name in enumerate(header) if name not in known]
    alike = [i for i in others if header[i].strip().lower() == id_column.strip().lower()]
    return next(iter(alike + others), None)


def read_header(path: str | Path) -> list[str]:
    """The column names of a CSV. Raises SubmissionError as `read_table` does."""
    with open_csv(path) as file:
        return header_of(file)


def read_ids(path: str | Path, known: Collection[str] = ()) -> np.ndarray:
    """(n,) the first column below the header, as text, of a CSV of any number of columns.

    known: ids that a header is none of. A header alone is a table of no ids. Raises SubmissionError for a file that is
    absent, not UTF-8, or empty, and for one that begins with an id.
    """
    with open_csv(path) as file:
        firsts = (row[0] for row in csv.reader(file) if row)  # of rows that may have thousands of cells
        if (header := next(firsts, None)) is None:
            raise SubmissionError("expected a header and a row for each id, found nothing.")
        if header in known:
            raise SubmissionError(
                f"expected a header such as `id` above the ids; its first line is {header!r}."
            )
        return np.array(list(firsts), np.str_)


def read_names(path: str | Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The header of a CSV of two columns, the first of them (n,) and the second (n,), both as text.

    A third one, Usage, as in Kaggle's solutions, is passed over. Raises SubmissionError as `read_table` does, and for
    another number of columns.
    """
    with open_csv(path) as file:
        header = header_of(file)
        if target_columns(header) != 1:
            raise SubmissionError(f"expected an id and a label column, found {len(header)} columns.")
        others, ragged = len(header) - 1, Ragged(len(header))
        blocks = [
            (np.array(ids, np.str_), np.array(text.split("\n")[::others], np.str_))
            for ids, text in record_blocks(file, len(header), 0, ragged)
        ]
        if fault := ragged.sentence():
            raise SubmissionError(f"{fault}.")
    none = np.empty(0, np.str_)
    ids, cells = (np.concatenate(side) for side in zip((none, none), *blocks, strict=True))
    return header, ids, cells
