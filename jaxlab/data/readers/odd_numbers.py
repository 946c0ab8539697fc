"""Numbers that may be no measurements: classes, folds, an index."""

import numpy as np


def like_classes(values: np.ndarray) -> list[int]:
    """The different numbers, where all are whole and there are few: at most one for two samples."""
    different = np.unique(values)
    whole = bool((different == np.rint(different)).all())
    few = 2 <= len(different) <= len(values) / 2
    return different.astype(int).tolist() if whole and few else []


def numbering(target: np.ndarray) -> list[int]:
    """The columns (n, t) of few whole numbers, where most others are of fractions: spikes are counted in all."""
    whole = (target == np.rint(target)).all(0)
    if not 0 < 2 * whole.sum() < len(whole):
        return []
    return [k for k in np.flatnonzero(whole).tolist() if like_classes(target[:, k])]


def counts_rows(values: np.ndarray) -> bool:
    """Whether they are 0, 1, 2, ... or 1, 2, 3, ..."""
    return (
        len(values) > 2 and bool((values - values[0] == np.arange(len(values))).all()) and values[0] in (0, 1)
    )
