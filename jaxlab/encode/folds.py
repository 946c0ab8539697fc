"""Cross-validated ridge on the device: every penalty for every target from one basis a fold.

The device sees each target above its mean and in units of its standard deviation, both taken in float64: in float32 a
mean a million deviations from 0 would cost R2 its second digit, and a unit of 1e-30 the square of every value.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from jaxlab.core.precision import varies
from jaxlab.encode.eigen import Basis

RidgeScore = Literal["pearson", "r2"]
_CELLS = 1 << 26  # of the largest array of one chunk of targets: 256 MB in float32
_FLAT = 1e-8  # of a mean square: a variance of no more is what sums in float32 leave of a constant


class Fold(NamedTuple):
    """A basis, and which rows of the targets it learns from and predicts."""

    basis: Basis
    train: np.ndarray
    new: np.ndarray


class Scores(NamedTuple):
    """(a, t) float64 each, NaN where a target, or what is predicted for it, is constant.

    pooled: of the predictions of all folds together, as they are. choosing: what penalties are chosen by.
    """

    pooled: np.ndarray
    choosing: np.ndarray


def scores(
    by_fold: Iterable[Fold], targets: np.ndarray, alphas: Sequence[float], score: RidgeScore
) -> Scores:
    """How well each penalty predicts each target (n, t), over the rows of all folds together.

    Not a mean over folds: one of a single row, or on whose rows a target is silent, has no score of its own.
    pearson: correlation. The predictions of a fold that has learned little are the mean of its other rows, which is
    low where its own are high, so that together such are worse than nothing; penalties are therefore chosen by what is
    predicted above that mean. r2: 1 - SSE / SST, of which that plays no part.
    """
    penalties = np.asarray(alphas, np.float32)
    total = sum(_sums(fold, targets, penalties) for fold in by_fold)
    n, y, yy, d, dd, dy, p, pp, py, error = total  # type: ignore[misc]
    with np.errstate(divide="ignore", invalid="ignore"):
        if score == "r2":
            varies = yy - y * y / n
            r2 = np.where(varies > _FLAT * yy, 1 - error / varies, np.nan)
            return Scores(r2, r2)
        return Scores(_correlation(n, p, pp, py, y, yy), _correlation(n, d, dd, dy, y, yy))


def _correlation(
    n: np.ndarray, x: np.ndarray, xx: np.ndarray, xy: np.ndarray, y: np.ndarray, yy: np.ndarray
) -> np.ndarray:
    """Pearson r from sums over n rows."""
    own, other = xx - x * x / n, yy - y * y / n
    defined = (own > _FLAT * xx) & (other > _FLAT * yy)
    return np.where(defined, np.clip((xy - x * y / n) / np.sqrt(own * other), -1, 1), np.nan)


def _sums(fold: Fold, targets: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """(10, a, t) float64 sums over the fold's new rows: 1, y, y^2; of what is predicted above the mean, d, d^2, d y; of
    what is predicted, p, p^2, p y; and of squared errors. y and all that is predicted are standardised."""
    basis = jax.device_put(fold.basis)
    found = []
    for chunk in _chunks(fold, targets):
        by_penalty, alone = _fold_sums(basis, chunk.train, chunk.new, penalties)
        d, dd, dy, error = np.asarray(by_penalty, np.float64)  # waits: chunks at once would fill the memory
        mean, y, yy = (np.broadcast_to(row, d.shape) for row in np.asarray(alone, np.float64))
        n = np.full(d.shape, len(fold.new), np.float64)
        p, pp, py = d + n * mean, dd + 2 * mean * d + n * mean**2, dy + mean * y
        found.append(np.stack([n, y, yy, d, dd, dy, p, pp, py, error])[..., : chunk.width])
    return np.concatenate(found, axis=2)


def predictions(fold: Fold, targets: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(m, t) float64 of the new rows, each target with its own penalty; alpha (t,)."""
    parts = [
        (found + learned[None]) * chunk.scale + chunk.mean
        for chunk, found, learned in _solved(fold, targets, alpha)
    ]
    return np.concatenate(parts, axis=1)


def coefficients(basis: Basis, back: np.ndarray, targets: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(q, t) float32 weights back @ (S + alpha)^-1 left'(y - mean y); back (q, k).

    With the eigenvectors of the Gram matrix for `back` they weigh features; with `left` of a dual basis, training rows.
    """
    whole = Fold(Basis(basis.values, basis.left, back), np.arange(len(targets)), np.arange(0))
    parts = (found * chunk.scale for chunk, found, _ in _solved(whole, targets, alpha))
    return np.concatenate([part.astype(np.float32) for part in parts], axis=1)


class _Chunk(NamedTuple):
    """Some targets, standardised, on the devices: rows to learn from and to predict; the last filled up with zeros.

    width: how many of them are targets. mean, scale: (width,) float64, theirs; the scale of a constant one is 0.
    """

    train: Array
    new: Array
    width: int
    mean: np.ndarray
    scale: np.ndarray


def _solved(
    fold: Fold, targets: np.ndarray, alpha: np.ndarray
) -> Iterator[tuple[_Chunk, np.ndarray, np.ndarray]]:
    """Some targets at a time, what is predicted above the mean of the training rows, and that mean; standardised."""
    basis, start = jax.device_put(fold.basis), 0
    for chunk in _chunks(fold, targets):
        own = np.ones(chunk.train.shape[1], np.float32)
        own[: chunk.width] = alpha[start : start + chunk.width]
        found, mean = _predictions(basis, chunk.train, own)
        yield chunk, np.asarray(found)[:, : chunk.width], np.asarray(mean)[: chunk.width]
        start += chunk.width


def _chunks(fold: Fold, targets: np.ndarray) -> Iterator[_Chunk]:
    """Split over the devices."""
    devices = jax.local_devices()
    sharding = NamedSharding(Mesh(np.array(devices), ("targets",)), PartitionSpec(None, "targets"))
    total = targets.shape[1]
    pieces = -(-total * max(fold.basis.left.shape) // _CELLS)
    width = -(-total // (pieces * len(devices))) * len(devices)
    for start in range(0, total, width):
        part, mean, scale = standardised(targets[:, start : start + width])
        count = len(mean)
        filled = np.pad(part, ((0, 0), (0, width - count))).astype(np.float32)
        train, new = jax.device_put((filled[fold.train], filled[fold.new]), sharding)
        yield _Chunk(train, new, count, mean, scale)


def standardised(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, t) float64 targets above their mean in units of their deviation, and these two (t,).

    The deviation of a constant one is 0, and so is all of it.
    """
    wide = targets.astype(np.float64)
    mean, scale = wide.mean(0), wide.std(0)
    kept = varies(scale, np.abs(wide).max(0), targets.dtype)
    mean, scale = np.where(kept, mean, wide[0]), np.where(kept, scale, 0.0)
    return (wide - mean) / np.where(kept, scale, np.inf), mean, scale


@jax.jit
def _fold_sums(
    basis: Basis, train: Float[Array, "n t"], new: Float[Array, "m t"], penalties: Float[Array, " a"]
) -> tuple[Float[Array, "4 a t"], Float[Array, "3 t"]]:
    """By penalty: sums of d, d^2, d y and squared errors, d above the training mean; and that mean, sums of y, y^2."""
    mean, projected = _projected(basis, train)

    def at(alpha: Float[Array, ""]) -> Float[Array, "4 t"]:
        found = _diagonal(basis, projected, alpha)
        errors = new - mean[None] - found
        return jnp.stack([x.sum(0) for x in (found, found * found, found * new, errors * errors)])

    return jnp.moveaxis(jax.lax.map(at, penalties), 0, 1), jnp.stack([mean, new.sum(0), (new * new).sum(0)])


@jax.jit
def _predictions(
    basis: Basis, train: Float[Array, "n t"], alpha: Float[Array, " t"]
) -> tuple[Float[Array, "m t"], Float[Array, " t"]]:
    mean, projected = _projected(basis, train)
    return _diagonal(basis, projected, alpha[None]), mean


def _projected(basis: Basis, train: Array) -> tuple[Float[Array, " t"], Float[Array, "k t"]]:
    mean = train.mean(0)
    return mean, jnp.matmul(basis.left.T, train - mean[None], precision="highest")


def _diagonal(basis: Basis, projected: Array, alpha: Array) -> Float[Array, "m t"]:
    return jnp.matmul(basis.right, projected / (basis.values[:, None] + alpha), precision="highest")
