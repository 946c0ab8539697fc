"""A ridge problem in its primal or its dual form: the same bases from columns of features or from their kernel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jaxlab.encode.bands import Band, kernel
from jaxlab.encode.eigen import Basis, centred, dual, primal


class Design(Protocol):
    """Training rows of weighted bands, as each fold and the whole sees them (they differ where features are
    standardised by the rows at hand)."""

    def fold(self, number: int, train: np.ndarray, new: np.ndarray) -> Basis:
        """Of fold `number`, whose rows are `new`."""
        ...

    def whole(self) -> tuple[Basis, np.ndarray]:
        """Of all rows, and what takes a solution back to weights: of features (p, k), or of training rows (n, k)."""
        ...


@dataclass(frozen=True, eq=False)
class Primal:
    """columns: (n, p) float32, one array a fold and one for all rows; or one for everything."""

    columns: Sequence[np.ndarray]

    def fold(self, number: int, train: np.ndarray, new: np.ndarray) -> Basis:
        columns = _pick(self.columns, number)
        mean = columns[train].mean(0)
        return primal(columns[train] - mean, columns[new] - mean)[0]

    def whole(self) -> tuple[Basis, np.ndarray]:
        return primal(self.columns[-1], self.columns[-1][:0])


@dataclass(frozen=True, eq=False)
class Dual:
    """kernels: (n, n) float32, likewise."""

    kernels: Sequence[np.ndarray]

    def fold(self, number: int, train: np.ndarray, new: np.ndarray) -> Basis:
        rows = _pick(self.kernels, number)[:, train].astype(np.float64)
        return dual(*centred(rows[train], rows[new]))

    def whole(self) -> tuple[Basis, np.ndarray]:
        whole = self.kernels[-1].astype(np.float64)
        basis = dual(*centred(whole, whole[:0]))
        return basis, basis.left


def of_band(band: Band, standardize: bool, in_primal: bool) -> Design:
    """One band alone, of weight 1."""
    folds = [*range(len(band.counts)), None] if standardize else [None]
    scalings = [band.scaling(standardize, without) for without in folds]
    if in_primal:
        return Primal([
            np.concatenate([np.asarray(block) for _, block in scaling.blocks(band.array)])
            for scaling in scalings
        ])  # fmt: skip
    return Dual([kernel(band.array, None, scaling, scaling) for scaling in scalings])


def combined(parts: Sequence[Design], weights: Sequence[float]) -> Design:
    """Several bands, each kernel times its weight (its features times the root of it)."""
    if isinstance(parts[0], Primal):
        columns = zip(*(part.columns for part in parts), strict=True)  # type: ignore[attr-defined]
        roots = np.sqrt(np.asarray(weights, np.float32))
        return Primal([
            np.concatenate([x * root for x, root in zip(by_band, roots, strict=True)], axis=1)
            for by_band in columns
        ])  # fmt: skip
    kernels = zip(*(part.kernels for part in parts), strict=True)  # type: ignore[attr-defined]
    return Dual([
        sum(np.float32(weight) * x for weight, x in zip(weights, by_band, strict=True)) for by_band in kernels
    ])  # fmt: skip


def _pick(arrays: Sequence[np.ndarray], number: int) -> np.ndarray:
    return arrays[0 if len(arrays) == 1 else number]
