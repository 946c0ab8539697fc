"""A ridge problem in its primal or its dual form: the same bases from columns of features or from their kernel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jaxlab.encode.bands import Band, kernel
from jaxlab.encode.eigen import Basis, centred, dual, primal
from jaxlab.encode.joint import Arrays, Joint

ROOM = 4 << 30  # bytes of single bands' columns or kernels that are kept


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


def of_band(band: Band, standardize: bool, in_primal: bool) -> Primal | Dual:
    """One band alone, of weight 1."""
    if band.products is not None and not standardize and not in_primal:
        return Dual([band.products])
    folds = [*range(len(band.counts)), None] if standardize else [None]
    scalings = [band.scaling(standardize, without) for without in folds]
    if in_primal:
        return Primal([
            np.concatenate([block for _, block in scaling.blocks(band.array)])
            for scaling in scalings
        ])  # fmt: skip
    return Dual([kernel(band.array, None, scaling) for scaling in scalings])


def combined(parts: Iterable[Design], weights: Sequence[float]) -> Design:
    """Several bands, each kernel times its weight (its features times the root of it); taken one after the other."""
    columns: list[list[np.ndarray]] = []
    kernels: list[np.ndarray] = []
    for part, weight in zip(parts, weights, strict=True):
        if isinstance(part, Primal):
            columns.append([x * np.float32(np.sqrt(weight)) for x in part.columns])
        elif isinstance(part, Dual):
            scaled = [x * np.float32(weight) for x in part.kernels]
            kernels = [a + b for a, b in zip(kernels, scaled, strict=True)] if kernels else scaled
    if columns:
        return Primal([np.concatenate(by_band, axis=1) for by_band in zip(*columns, strict=True)])
    return Dual(kernels)


def together(own: Design, in_primal: bool, joint: Joint) -> Design:
    """That of the bands of all processes, in each of them, where each has made that of its `own`, of none or more."""
    if joint.count == 1:
        return own

    def read(parts: list[Arrays]) -> Design:
        by_process = zip(*filter(None, parts), strict=True)  # columns, or kernels, one array a fold
        if in_primal:
            return Primal([np.concatenate(each, axis=1) for each in by_process])
        return Dual([sum(each[1:], start=np.array(each[0])) for each in by_process])

    arrays = own.columns if isinstance(own, Primal) else own.kernels if isinstance(own, Dual) else ()
    found = joint.exchanged("the bands together", arrays, read, everywhere=True)
    assert found is not None
    return found


def _pick(arrays: Sequence[np.ndarray], number: int) -> np.ndarray:
    return arrays[0 if len(arrays) == 1 else number]


class Designs:
    """Those of single bands, kept for a second use where they fit into so many bytes together."""

    def __init__(self, standardize: bool, in_primal: bool, room: int = ROOM):
        self._standardize, self._in_primal, self._room = standardize, in_primal, room
        self._kept: dict[str, Design] = {}

    def __call__(self, band: Band) -> Design:
        if band.name in self._kept:
            return self._kept[band.name]
        made = of_band(band, self._standardize, self._in_primal)
        arrays = made.columns if isinstance(made, Primal) else made.kernels
        size = sum(array.nbytes for array in arrays)
        if size <= self._room:
            self._room -= size
            self._kept[band.name] = made
        return made

    def products(self, band: Band, rows: np.ndarray) -> np.ndarray:
        """(m, m) float32 kernel of some training rows, scaled as all of them are."""
        kept = self._kept.get(band.name)
        if isinstance(kept, Dual):
            return kept.kernels[-1][np.ix_(rows, rows)]
        return kernel(band.array[rows], None, band.scaling(self._standardize))
