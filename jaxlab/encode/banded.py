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
    sides = [_side(kernels, above, fold != number) for number in range(fold.max() + 1)]
    logs = np.zeros(len(kernels) + 1, np.float32)  # of the weights, and of the penalty
    optimizer = optax.adam(_RATE)
    state = optimizer.init(logs)
    best, found = -np.inf, _shares(logs[:-1])
    for _ in range(_STEPS):
        shares, alpha = _shares(logs[:-1]), float(np.exp(logs[-1]))
        score, slope, penalty_slope = _score(sides, shares, alpha)
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
    """Centred kernels among a fold's training rows (b, n, n) and of its others with them (b, m, n), and both sides'
    targets; those to learn above their mean."""

    inner: np.ndarray
    cross: np.ndarray
    learned: np.ndarray
    truth: np.ndarray


def _side(kernels: np.ndarray, targets: np.ndarray, train: np.ndarray) -> _Side:
    pairs = [centred(k[train][:, train].astype(np.float64), k[~train][:, train]) for k in kernels]
    inner, cross = (np.stack(part).astype(np.float32) for part in zip(*pairs, strict=True))
    return _Side(inner, cross, targets[train] - targets[train].mean(0), targets[~train])


def _score(sides: Sequence[_Side], shares: np.ndarray, alpha: float) -> tuple[float, np.ndarray, float]:
    """Mean correlation of all folds' predictions, its slopes along the bands' weights, and along the penalty."""
    factors, solutions, outputs = [], [], []
    for side in sides:
        matrix = _weighted(side.inner, shares) + alpha * np.eye(side.inner.shape[1], dtype=np.float32)
        factors.append(linalg.cho_factor(matrix, overwrite_a=True, check_finite=False))
        solved = linalg.cho_solve(factors[-1], side.learned, check_finite=False).astype(np.float32)
        solutions.append(solved)
        outputs.append(_weighted(side.cross, shares) @ solved)
    truth = np.concatenate([side.truth for side in sides])
    score, gradient = _correlation(np.concatenate(outputs), truth)
    ends = np.cumsum([len(output) for output in outputs])[:-1]
    slopes, by_penalty = np.zeros(len(shares)), 0.0
    for side, factor, solved, by_output in zip(
        sides, factors, solutions, np.split(gradient, ends), strict=True
    ):
        onto = _weighted(side.cross, shares)
        back = linalg.cho_solve(factor, onto.T @ by_output, check_finite=False).astype(np.float32)
        slopes += _onto(side.cross, by_output @ solved.T) - _onto(side.inner, back @ solved.T)
        by_penalty -= float((back * solved).sum())
    return score, slopes, by_penalty


def _weighted(kernels: np.ndarray, shares: Sequence[float] | np.ndarray) -> np.ndarray:
    flat = kernels.reshape(len(kernels), -1)
    return (np.asarray(shares, np.float32) @ flat).reshape(kernels.shape[1:])


def _onto(kernels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(b,) the sum of each kernel's values times the weights: <G, K C> = <K, G C'>, without a product a kernel."""
    return kernels.reshape(len(kernels), -1) @ weights.astype(np.float32).ravel()


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
