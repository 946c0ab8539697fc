"""Columns that fit one another's truth better than their own."""

import numpy as np
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from submit.errors import named

MOST_COLUMNS = 1024  # at most: an assignment takes their number cubed


def exchanged(a: np.ndarray, b: np.ndarray, names: np.ndarray, chance: float) -> str:
    """Which columns of a fit which columns of b better, in words; empty for none, and for more than 1,024 columns.

    a, b: (n, t), whose products sum to the score. Every other sample says which assignment of columns is best, one
    to one (Kuhn's); the remaining ones, whether a cycle of it scores more than twice what its columns do under their
    own names, by a t-test at the level `chance` over all cycles. So neither a target that is easy to predict nor a
    column that by right predicts one much like its own a little better seems exchanged.
    """
    if not 1 < a.shape[1] <= MOST_COLUMNS:
        return ""
    chosen, held_out = slice(0, None, 2), slice(1, None, 2)
    for train, test in ((chosen, held_out), (held_out, chosen)):
        _, fits = linear_sum_assignment(a[train].T @ b[train], maximize=True)
        better = _gaining(a[test], b[test], fits, chance / 2)
        if len(better):
            pairs = (f"{names[k]} holds {names[fits[k]]}" for k in better)
            return named(pairs, len(better))
    return ""


def _gaining(a: np.ndarray, b: np.ndarray, fits: np.ndarray, chance: float) -> np.ndarray:
    """The columns k in those cycles of k -> fits[k] that score more than twice what the identity does."""
    columns = np.arange(len(fits))
    graph = coo_array((np.ones(len(fits)), (columns, fits)), shape=(len(fits), len(fits)))
    cycles, cycle = connected_components(graph, directed=False)
    moved = np.flatnonzero(fits != columns)
    if not len(moved):
        return moved
    by_name, moved_there = a[:, moved] * b[:, moved], a[:, moved] * b[:, fits[moved]]
    gains = moved_there - by_name - np.maximum(by_name.mean(0), 0)
    of_cycle = np.zeros((len(moved), cycles + 1), np.float32)
    of_cycle[np.arange(len(moved)), cycle[moved]] = 1
    of_cycle[:, cycles] = 1  # and all of them together
    tested = of_cycle.any(0)
    gain = gains @ of_cycle[:, tested]
    spread = gain.std(0, ddof=1) / np.sqrt(len(gain))
    with np.errstate(all="ignore"):
        p = stats.t.sf(np.where(spread > 0, gain.mean(0) / spread, 0), len(gain) - 1)
    passed = of_cycle[:, tested][:, p < chance / len(p)]
    return moved[passed.any(1)]
