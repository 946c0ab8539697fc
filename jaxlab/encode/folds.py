"""Cross-validated ridge on the device: every penalty for every target from one basis a fold."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from jaxlab.encode.eigen import Basis

RidgeScore = Literal["pearson", "r2"]
_CELLS = 1 << 26  # of the largest array of one chunk of targets: 256 MB in float32


class Fold(NamedTuple):
    """A basis, and which rows of the targets it learns from and predicts."""

    basis: Basis
    train: np.ndarray
    new: np.ndarray


def scores(fold: Fold, targets: np.ndarray, alphas: Sequence[float], score: RidgeScore) -> np.ndarray:
    """(a, t) float32: how well each penalty predicts each target (n, t) on the fold's new rows.

    pearson: correlation. r2: 1 - SSE / SST. A target that is constant there, or is predicted so, scores 0.
    """
    penalties = np.asarray(alphas, np.float32)
    basis = jax.device_put(fold.basis)
    found = []
    for train, new, width in _chunks(fold, targets):
        chunk = _scores(basis, train, new, penalties, score == "pearson")
        found.append(np.asarray(chunk)[:, :width])  # waits for it: chunks at once would fill the memory
    return np.concatenate(found, axis=1)


def predictions(fold: Fold, targets: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(m, t) float32 of the new rows, each target with its own penalty; alpha (t,)."""
    return np.concatenate([found + mean[None] for found, mean in _solved(fold, targets, alpha)], axis=1)


def coefficients(basis: Basis, back: np.ndarray, targets: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(q, t) float32 weights back @ (S + alpha)^-1 left'(y - mean y); back (q, k).

    With the eigenvectors of the Gram matrix for `back` they weigh features; with `left` of a dual basis, training rows.
    """
    whole = Fold(Basis(basis.values, basis.left, back), np.arange(len(targets)), np.arange(0))
    return np.concatenate([found for found, _ in _solved(whole, targets, alpha)], axis=1)


def _solved(fold: Fold, targets: np.ndarray, alpha: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some targets at a time, what is predicted above their mean, and that mean."""
    basis, start = jax.device_put(fold.basis), 0
    for train, _, width in _chunks(fold, targets):
        own = np.ones(train.shape[1], np.float32)
        own[:width] = alpha[start : start + width]
        found, mean = _predictions(basis, train, own)
        yield np.asarray(found)[:, :width], np.asarray(mean)[:width]
        start += width


def _chunks(fold: Fold, targets: np.ndarray) -> Iterator[tuple[Array, Array, int]]:
    """Targets some at a time, training and new rows, split over the devices; the last filled up with zeros.

    Yields as well how many of them are targets.
    """
    devices = jax.local_devices()
    sharding = NamedSharding(Mesh(np.array(devices), ("targets",)), PartitionSpec(None, "targets"))
    total = targets.shape[1]
    pieces = -(-total * max(fold.basis.left.shape) // _CELLS)
    width = -(-total // (pieces * len(devices))) * len(devices)
    for start in range(0, total, width):
        part = targets[:, start : start + width]
        filled = np.pad(part, ((0, 0), (0, width - part.shape[1]))).astype(np.float32)
        rows = jax.device_put((filled[fold.train], filled[fold.new]), sharding)
        yield *rows, part.shape[1]


@partial(jax.jit, static_argnums=4)
def _scores(
    basis: Basis,
    train: Float[Array, "n t"],
    new: Float[Array, "m t"],
    penalties: Float[Array, " a"],
    correlate: bool,
) -> Float[Array, "a t"]:
    mean, projected = _projected(basis, train)
    truth = new - new.mean(0)[None]
    total = jnp.square(truth).sum(0)

    def at(alpha: Float[Array, ""]) -> Float[Array, " t"]:
        found = _diagonal(basis, projected, alpha)
        if correlate:
            found = found - found.mean(0)[None]
            spread = jnp.sqrt(jnp.square(found).sum(0) * total)
            score = (found * truth).sum(0) / spread
        else:
            score = 1 - jnp.square(new - mean[None] - found).sum(0) / total
        return jnp.where(jnp.isfinite(score), score, 0.0)

    return jax.lax.map(at, penalties)


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
