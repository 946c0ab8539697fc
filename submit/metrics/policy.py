"""What becomes of targets whose score is undefined."""

from typing import Literal

import numpy as np

from submit.errors import SubmissionError

Constant = Literal["zero", "nan", "drop"]


def settled(values: np.ndarray, without: np.ndarray, constant: Constant) -> np.ndarray:
    """values (t,) with 0 or NaN for the targets (t,) `without` a score, or with those left out ("drop")."""
    if constant == "drop":
        return values[~without]
    if constant not in ("zero", "nan"):
        raise SubmissionError(f"constant: expected 'zero', 'nan' or 'drop'; found {constant!r}.")
    return np.where(without, 0.0 if constant == "zero" else np.nan, values)


def degenerate(values: np.ndarray) -> np.ndarray:
    """(t,) bool: which columns of (n, t) are constant or hold a value that is not finite."""
    low, high = values.min(0), values.max(0)  # a NaN comes through as NaN
    return ~(np.isfinite(low) & np.isfinite(high)) | (low == high)
