"""Many small least-squares problems with non-negative weights, solved exactly and all at once."""

import numpy as np

_TRIES = 3  # exchanges of every wrong weight that leave no fewer of them, before they go one at a time
_ROUNDING = 1e-12  # relative: what is so little below 0 is 0


def nonnegative(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(g, m): of each problem, the w >= 0 with the smallest w'Aw - 2 b'w.

    matrices: (g, m, m), A positive definite. vectors: (g, m), b. By block principal pivoting (Portugal, Judice and
    Vicente 1994): guess which weights are above 0, solve for them, exchange those that came out negative and those
    at 0 that the gradient would raise. Members may be nearly equal, where coordinate descent takes thousands of
    steps. It ends, because exchanging only the last wrong weight does (Murty 1974), which is what it comes down to.
    """
    g, m = vectors.shape
    weights, above = np.zeros((g, m)), np.ones((g, m), bool)
    fewest, tries = np.full(g, m + 1), np.full(g, _TRIES)
    at = np.arange(g)  # the problems that are not solved yet
    while len(at):
        a, b, free = matrices[at], vectors[at], above[at]
        square = np.where(free[:, :, None] & free[:, None, :], a, np.eye(m))
        w = np.linalg.solve(square, np.where(free, b, 0)[:, :, None])[:, :, 0]
        slope = np.matmul(a, w[:, :, None])[:, :, 0] - b
        size = np.where(free, np.abs(w).max(1, keepdims=True), np.abs(b).max(1, keepdims=True))
        wrong = np.where(free, w, slope) < -_ROUNDING * size
        count = wrong.sum(1)
        weights[at] = np.maximum(w, 0)
        fewer = count < fewest[at]
        tries[at] = np.where(fewer, _TRIES, tries[at] - 1)
        fewest[at] = np.minimum(count, fewest[at])
        last = np.arange(m) == m - 1 - np.argmax(wrong[:, ::-1], axis=1)[:, None]
        above[at] = free ^ (wrong & (last | (tries[at] >= 0)[:, None]))
        at = at[count > 0]
    return weights
