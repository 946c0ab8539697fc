"""Banded ridge: how much each band of features weighs, learned by gradient from cross-validated predictions.

Ridge with a penalty of its own for each band (Nunez-Elizalde et al. 2019; Dupre la Tour et al. 2022) is ridge on the
sum of the bands' kernels K_b, each times a weight g_b. All targets share the weights; with A = sum_b g_b K_b + alpha I
on a fold's training rows, C = A^-1 Y and P = sum_b g_b K'_b C on its other rows, the gradient of a score S(P) follows
from one factorization: dS/dg_b = <G, K'_b C> - <H, K_b C>, where G = dS/dP and H = A^-1 (sum_b g_b K'_b)' G.
The score is that of all folds' predictions together, so that G is known once all have been made; those of a single row,
say, have none of their own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import optax

from jaxlab.encode.eigen import centred
from jaxlab.encode.folds import standardised
from submit.late import Late

if TYPE_CHECKING:
    from scipy import linalg
else:
    linalg = Late("scipy.linalg")

_STEPS, _RATE = 30, 0.1


def weights(kernels: np.ndarray, targets: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(b,) float64 weights of sum 1, which maximise the mean correlation over targets of all folds' predictions.

    kernels: (b, n, n) float32 of the training rows. targets: (n, t). fold: (n,) the number of each row's fold.
    """
    above = standardised(targets)[0].astype(np.float32)
    sides = [_side(above, fold != number) for number in range(fold.max() + 1)]
    logs = np.zeros(len(kernels) + 1, np.float32)  # of the weights, and of the penalty
    optimizer = optax.adam(_RATE)
    state = optimizer.init(logs)
    best, found = -np.inf, _shares(logs[:-1])
    for _ in range(_STEPS):
        shares, alpha = _shares(logs[:-1]), float(np.exp(logs[-1]))
        score, slope, penalty_slope = _score(kernels, sides, shares, alpha)
        if score > best:
            best, found = score, shares
        by_log = shares * (slope - (shares * slope).sum())  # through the softmax
        gradient = -np.append(by_log, alpha * penalty_slope).astype(np.float32)
        update, state = optimizer.update(gradient, state)
        logs = np.asarray(logs + update)
    return found


def _shares(logs: np.ndarray) -> np.ndarray:
    powers = np.exp(logs.astype(np.float64) - logs.max())
    return powers / powers.sum()


class _Side(NamedTuple):
    """A fold's training rows and its others, and both sides' targets; those to learn above their mean."""

    train: np.ndarray
    new: np.ndarray
    learned: np.ndarray
    truth: np.ndarray


def _side(targets: np.ndarray, chosen: np.ndarray) -> _Side:
    train, new = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    return _Side(train, new, targets[train] - targets[train].mean(0), targets[new])


def _score(
    kernels: np.ndarray, sides: Sequence[_Side], shares: np.ndarray, alpha: float
) -> tuple[float, np.ndarray, float]:
    """Mean correlation of all folds' predictions, its slopes along the bands' weights, and along the penalty.

    The kernels are read twice: for their sum, of which each fold has its part, and for what that sum's slopes are onto
    each of them.
    """
    flat = kernels.reshape(len(kernels), -1)
    total = (shares.astype(np.float32) @ flat).reshape(kernels.shape[1:])
    solved = [_solved(total, side, alpha) for side in sides]
    truth = np.concatenate([side.truth for side in sides])
    score, gradient = _correlation(np.concatenate([one.cross @ one.weights for one in solved]), truth)
    ends = np.cumsum([len(side.truth) for side in sides])[:-1]
    by_total, by_penalty = np.zeros_like(total), 0.0
    for side, one, by_output in zip(sides, solved, np.split(gradient, ends), strict=True):
        back = linalg.cho_solve(one.factor, one.cross.T @ by_output, check_finite=False).astype(np.float32)
        _add_slopes(by_total, side, by_output @ one.weights.T, -(back @ one.weights.T))
        by_penalty -= float((back * one.weights).sum())
    return score, (flat @ by_total.ravel()).astype(np.float64), by_penalty


class _Solved(NamedTuple):
    """A fold's factorized kernel, weights (n, t) of its training rows, and the others' centred kernel (m, n)."""

    factor: tuple[np.ndarray, bool]
    weights: np.ndarray
    cross: np.ndarray


def _solved(total: np.ndarray, side: _Side, alpha: float) -> _Solved:
    rows = total[:, side.train].astype(np.float64)
    inner, cross = (part.astype(np.float32) for part in centred(rows[side.train], rows[side.new]))
    inner[np.diag_indices_from(inner)] += np.float32(alpha)
    factor = linalg.cho_factor(inner, overwrite_a=True, check_finite=False)
    solved = linalg.cho_solve(factor, side.learned, check_finite=False).astype(np.float32)
    return _Solved(factor, solved, cross)


def _add_slopes(by_total: np.ndarray, side: _Side, by_cross: np.ndarray, by_inner: np.ndarray) -> None:
    """Slopes by a fold's centred kernels, (m, n) and (n, n), as those by the whole kernel: `centred` backwards."""
    across = by_cross - by_cross.mean(1, keepdims=True)
    among = by_inner - by_inner.mean(0) - by_inner.mean(1, keepdims=True) + by_inner.mean()
    by_total[np.ix_(side.new, side.train)] += across
    by_total[np.ix_(side.train, side.train)] += among - across.sum(0) / len(side.train)


def _correlation(outputs: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean Pearson r over targets, and its gradient by the outputs (m, t); a constant target counts 0."""
    x, y = outputs - outputs.mean(0), truth - truth.mean(0)
    sizes = np.sqrt(np.square(x).sum(0)), np.sqrt(np.square(y).sum(0))
    defined = (sizes[0] > 0) & (sizes[1] > 0)
    x, y = (
        np.where(defined, side / np.where(size > 0, size, 1), 0)
        for side, size in zip((x, y), sizes, strict=True)
    )
    r = (x * y).sum(0)
    gradient = (y - r * x) / np.where(defined, sizes[0], 1) / len(r)
    return float(r.mean()), gradient.astype(np.float32)
