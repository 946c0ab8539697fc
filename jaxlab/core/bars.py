"""Numbers as a line of bars, for a terminal."""

from collections.abc import Sequence

import numpy as np

_BARS = " ▁▂▃▄▅▆▇█"


def bars(values: Sequence[float] | np.ndarray, top: float | None = None) -> str:
    """A character each, from an empty one of 0 to a full one of `top`, by default the largest.

    What is more than nothing is never empty; undefined numbers are dots.
    """
    found = np.asarray(values, np.float64)
    most = float(np.nanmax(found, initial=0.0)) if top is None else top
    if not most > 0:
        return "".join(" " if np.isfinite(value) else "·" for value in found)
    level = np.clip(np.ceil(found / most * (len(_BARS) - 1)), 0, len(_BARS) - 1)
    return "".join(_BARS[int(one)] if np.isfinite(one) else "·" for one in level)
