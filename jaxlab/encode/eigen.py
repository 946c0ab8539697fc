"""A ridge problem's basis: one eigendecomposition of its kernel or Gram matrix, which every penalty and target shares.

With the centred training features X = U sqrt(S) V', the ridge solution w = (X'X + alpha I)^-1 X'y predicts
X_new V (S + alpha)^-1 V'X'y: a product of `right` = X_new V, a diagonal, and `left`'y with `left` = X V. In the dual,
with K = XX' = U S U', the same holds for left = U and right = K_new U, so both forms go one way from here on.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from submit.late import Late

if TYPE_CHECKING:
    from scipy import linalg
else:
    linalg = Late("scipy.linalg")

_DOUBLE = 4096  # matrices up to this size are decomposed in float64


class Basis(NamedTuple):
    """values (k,): eigenvalues, none below 0. left (n, k) of the training rows, right (m, k) of the rows to predict."""

    values: np.ndarray
    left: np.ndarray
    right: np.ndarray


def primal(train: np.ndarray, new: np.ndarray) -> tuple[Basis, np.ndarray]:
    """From features (n, p) and (m, p), both less the mean of `train`; also the eigenvectors (p, k), for weights."""
    wide: Any = train.astype(np.float64 if train.shape[1] <= _DOUBLE else np.float32)
    values, vectors = _eigh(wide.T @ wide)
    return Basis(values, train @ vectors, new @ vectors), vectors


def dual(kernel: np.ndarray, cross: np.ndarray) -> Basis:
    """From centred kernels (n, n) and (m, n)."""
    values, vectors = _eigh(kernel)
    return Basis(values, vectors, cross.astype(np.float32) @ vectors)


def centred(kernel: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear kernels (n, n) and (m, n) as they are once the mean over the n training rows is taken from all features.

    Exact: <x - c, y - c> = <x, y> - <x, c> - <c, y> + <c, c>, and products with the mean c are means of products.
    """
    by_train, whole = kernel.mean(0), kernel.mean()
    inner = kernel - by_train[:, None] - by_train[None] + whole
    return inner, cross - cross.mean(1, keepdims=True) - by_train[None] + whole


def _eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, at least 0, and eigenvectors of a symmetric positive semidefinite matrix, as float32.

    In float64 where the matrix is small enough for that to take seconds: float32 loses the eigenvalues below a
    millionth of the largest.
    """
    double = len(matrix) <= _DOUBLE
    if jax.default_backend() == "cpu":
        if double:
            values, vectors = np.linalg.eigh(matrix.astype(np.float64))
        else:  # the same, in place
            matrix = matrix.astype(np.float32)
            values, vectors = linalg.eigh(matrix, driver="evd", overwrite_a=True, check_finite=False)
    else:
        with jax.enable_x64(double):
            values, vectors = jax.device_get(jnp.linalg.eigh(jnp.asarray(matrix)))
    return np.maximum(values, 0).astype(np.float32), vectors.astype(np.float32)
