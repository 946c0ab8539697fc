"""Writing the lines of a CSV, made by pyarrow's functions on text.

pyarrow's own CSV writer works column by column, slowly where there are 40,000, and puts every text in quotes.
"""

from typing import Any

import numpy as np

_SPECIAL = r'[",\r\n]'


def header_line(columns: list[str]) -> bytes:
    """The names separated by commas, those in quotes that need them."""
    return ",".join(_quoted(np.array(columns, np.str_)).to_pylist()).encode() + b"\n"


def row_lines(ids: np.ndarray, cells: np.ndarray) -> memoryview:
    """The lines `id,cell,...` of ids (n,) and cells (n, t), numbers or text; of some thousand cells at a time.

    A number takes the fewest digits that read back as the same float32 (or float64, if cells are), also when parsed as
    float64 and rounded.
    """
    from pyarrow import compute

    lines = compute.binary_join_element_wise(_quoted(ids), _joined(cells, ","), ",")
    return memoryview(compute.binary_join_element_wise(lines, "", "\n").buffers()[2])


def number_lists(values: np.ndarray) -> list[str]:
    """The numbers of each row of (n, t) as text, likewise, with a comma and a space between."""
    return _joined(values, ", ").to_pylist()


def _joined(cells: np.ndarray, separator: str) -> Any:
    import pyarrow
    from pyarrow import compute

    flat = cells.ravel()
    texts = pyarrow.array(flat).cast("string") if flat.dtype.kind == "f" else _quoted(flat)
    ends = np.arange(0, flat.size + 1, cells.shape[1], dtype=np.int32)
    return compute.binary_join(pyarrow.ListArray.from_arrays(ends, texts), separator)


def _quoted(texts: np.ndarray) -> Any:
    """A pyarrow array of the texts, those in quotes that hold a comma, a quotation mark or the end of a line."""
    import pyarrow
    from pyarrow import compute

    plain = pyarrow.array(texts, pyarrow.string())
    special = compute.match_substring_regex(plain, _SPECIAL)
    if not compute.any(special).as_py():
        return plain
    doubled = compute.replace_substring(plain, '"', '""')
    return compute.if_else(special, compute.binary_join_element_wise('"', doubled, '"', ""), plain)
