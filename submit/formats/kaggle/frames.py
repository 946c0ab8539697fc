"""A pandas table as the table that a file would be read into."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from submit.errors import SubmissionError
from submit.files.csv_table import Cells, Table, count_words, id_place, parsed


def from_frame(frame: pd.DataFrame, id_column: str, columns: Collection[str]) -> Table:
    """Arguments as those of `read_table`; ids may be the index, if it has their name, as pandas would write it.

    Raises SubmissionError where there are not two columns.
    """
    if frame.index.name == id_column and id_column not in frame.columns:
        frame = frame.reset_index()
    header = [str(name) for name in frame.columns]
    if len(header) < 2:
        raise SubmissionError(f"expected an id column and at least one target, found the columns {header}.")
    key = id_place(header, id_column, columns)
    if key is None:
        ids = np.array([f"#{row}" for row in range(2, len(frame) + 2)], np.str_)
    else:
        ids = frame.iloc[:, key].astype(str).to_numpy().astype(np.str_)
    others = [i for i in range(len(header)) if i != key]
    names = np.array([header[i] for i in others], np.str_)
    cells, words = frame.iloc[:, others], dict[str, tuple[int, int]]()
    if all(dtype.kind in "fiu" for dtype in cells.dtypes):  # True is not a number, as in a file
        exact = cells.to_numpy(np.float64, na_value=np.nan)
        found = Cells.of(exact)
    else:
        texts = cells.astype(object).where(cells.notna(), "").astype(str).to_numpy(object)
        flat, found = parsed(pd.Series(texts.ravel(), dtype=object))
        exact = flat.reshape(texts.shape)
        if len(others) == 1:
            count_words(words, texts.ravel().tolist(), found, 0)
    return Table(header, ids, names, exact, found, words=words)
