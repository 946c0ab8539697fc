"""What a sample submission asks for."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from submit.errors import SubmissionError, about
from submit.files.csv_records import Ragged, header_of, open_csv, record_blocks
from submit.files.csv_table import numbers
from submit.labels import is_text
from submit.predictions import names

Holds = Literal["numbers", "probabilities", "whole", "names", "either"]

SUM_TOLERANCE = 0.01  # probabilities that were rounded add up to one within this
_ROWS = 1_000  # of a table looked at at a time
_NEITHER = ("", "nan", "+nan", "-nan")  # a number nor a name
_WHOLE = re.compile(r"\s*[+-]?\d*\s*")
_WITH_POINT = re.compile(r"\s*[+-]?\d*(\.0*)?\s*")


@dataclass(frozen=True, eq=False)
class Sample:
    """What a submission must look like: its id column, its ids (n,), its other columns (t,), and what they hold.

    holds: "probabilities" where each row of the sample adds up to one (two columns of 0.5 may be anything);
    "names" where the only column has class names; "either" where it has whole numbers, which may stand for names;
    "whole" where these are written as 1.0, which may be numbers of classes.
    names: those it holds, of "names"; numbers: whether there are numbers among them.
    """

    id_column: str
    ids: np.ndarray
    columns: np.ndarray
    holds: Holds = "numbers"
    names: frozenset[str] = frozenset()
    numbers: bool = False


def read_sample(sample: pd.DataFrame | str | Path) -> Sample:
    """A sample submission from its CSV or a table read with dtype=str, keep_default_na=False; ids come first.

    Raises SubmissionError when it is none: no target column, ragged rows, ids or columns that repeat.
    """
    if isinstance(sample, pd.DataFrame):
        source, (header, ids, found) = "the sample submission", _of_frame(sample)
    else:
        source, (header, ids, found) = str(sample), _of_file(sample)
    with about(source):
        columns = names(header, "columns")[1:]
        known = frozenset(found.names)
        return Sample(header[0], names(ids, "ids"), columns, found.holds, known, found.numbers)


def _of_file(path: str | Path) -> tuple[list[str], np.ndarray, "_Contents"]:
    with open_csv(path) as file:
        header = header_of(file)
        contents, ragged, ids = _Contents(len(header) - 1), Ragged(len(header)), [np.empty(0, np.str_)]
        for block, text in record_blocks(file, len(header), 0, ragged):
            ids.append(np.array(block, np.str_))
            contents.see(text)
        if fault := ragged.sentence():
            raise SubmissionError(f"{fault}.")
    return header, np.concatenate(ids), contents


def _of_frame(frame: pd.DataFrame) -> tuple[list[str], np.ndarray, "_Contents"]:
    header = [str(name) for name in frame.columns]
    if len(header) < 2:
        raise SubmissionError(
            f"the sample submission: expected an id column and at least one target, found {header}."
        )
    contents = _Contents(len(header) - 1)
    for start in range(0, len(frame) if contents.open else 0, _ROWS):
        if contents.open:
            cells = frame.iloc[start : start + _ROWS, 1:].astype(str).to_numpy(object)
            contents.see("\n".join(cells.ravel().tolist()))
    return header, frame.iloc[:, 0].astype(str).to_numpy(), contents


class _Contents:
    """Learns from rows what `columns` columns hold; `open` while more rows could change it."""

    def __init__(self, columns: int):
        self._columns = columns
        self._half = True  # nothing but 0.5 so far
        self._seen = False
        self._might: Holds = "either" if columns == 1 else "probabilities"
        self.open = True
        self.names: set[str] = set()
        self.numbers = False

    def see(self, text: str) -> None:
        """text: the rows' cells, one a line."""
        if not self.open:
            return
        self._seen = True
        if self._columns == 1:
            self._see_one(text.split("\n"))
        else:
            self._see_several(numbers(text)[0].reshape(-1, self._columns))

    def _see_one(self, cells: list[str]) -> None:
        text = is_text(cells)
        if text.any():
            self._might = "names"
        for cell, known in zip(cells, text, strict=True):
            if known:
                self.names.add(cell)
            elif cell.strip().lower() not in _NEITHER:
                self.numbers = True
        if self._might == "either" and not all(map(_WHOLE.fullmatch, cells)):
            self._might = "whole"
        if self._might == "whole" and not all(map(_WITH_POINT.fullmatch, cells)):
            self._might = "numbers"

    def _see_several(self, values: np.ndarray) -> None:
        between = (values >= 0).all() and (values <= 1).all()
        if not between or (np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE).any():
            self._might, self.open = "numbers", False
        self._half = self._half and bool((values == 0.5).all())

    @property
    def holds(self) -> Holds:
        unknown = not self._seen or (self._might == "probabilities" and self._half)
        return "numbers" if unknown else self._might
