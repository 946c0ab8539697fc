"""How precisely values are kept: float32, unless it would lose what sets the samples of a target apart."""

import numpy as np

_ROUNDING = 1e-5  # of a column's range: what float32 may round away of values that lie 100 ranges from 0
_CELLS = 2**20  # looked at at a time


def as_precise(values: np.ndarray) -> np.ndarray:
    """Numbers (n, t) as float32, which halves the memory, or as float64 where a column needs it.

    A column needs it where float32 would change a whole number (a class number, a count), would make a finite value
    infinite, or would move a value by more than 1e-5 of the column's range, as 1e8 + x of x near 1. What is float32
    stays so.
    """
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4:
        return values.astype(np.float32, copy=False)
    exact = values.astype(np.float64, copy=False)
    rows = max(1, _CELLS // max(1, len(exact)))
    parts = (exact[:, start : start + rows] for start in range(0, exact.shape[1], rows))
    if len(exact) and any(_loses(part) for part in parts):
        return exact
    return exact.astype(np.float32)


def _loses(columns: np.ndarray) -> bool:
    """Whether float32 loses something of a column (n, t), n > 0."""
    finite = np.isfinite(columns)
    known = np.where(finite, columns, np.nan)
    with np.errstate(all="ignore"):
        error = np.abs(known - known.astype(np.float32))
        span = np.fmax.reduce(known) - np.fmin.reduce(known)
        whole = (known == np.rint(known)) | ~finite
    moved, counts = np.fmax.reduce(error) > _ROUNDING * span, whole.all(0)
    changed = np.fmax.reduce(error) > 0
    return bool((changed & ((moved & (span > 0)) | counts)).any())
