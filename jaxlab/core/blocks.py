"""Targets of several subjects without what none of them knows: each subject's rows and columns, and no others.

Eight subjects of 9,000 images and 39,548 vertices are 12 GB so, and as one array of numbers and gaps 91.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from jaxlab.core.types import UserError

_MOST = 4e9  # bytes of an array that is made of all blocks


class Block(NamedTuple):
    """One subject's numbers: of the samples at `rows` (k,), its `columns`' (k, t)."""

    rows: np.ndarray
    columns: slice
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class BlockDiagonal:
    """(n, t) numbers: those of `blocks` (n_k, t_k), one after the other along both axes, and NaN elsewhere.

    Blocks may lie on disk. chosen: (m,) which of all rows these are, in that order; None: all.
    Indexed by rows it gives an array, (m, t) with NaN, of a batch or so.
    """

    blocks: tuple[np.ndarray, ...]
    chosen: np.ndarray | None = None

    ndim = 2

    @cached_property
    def _firsts(self) -> np.ndarray:
        """(2, k + 1) where the rows and the columns of each block begin, and where all end."""
        return np.cumsum([[0, 0], *(block.shape for block in self.blocks)], axis=0).T

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*self.blocks)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), int(self._firsts[1, -1])

    @property
    def size(self) -> int:
        """How many numbers the blocks hold of these rows, known or not."""
        return sum(block.values.size for block in self)

    def __len__(self) -> int:
        return int(self._firsts[0, -1]) if self.chosen is None else len(self.chosen)

    def taken(self, rows: np.ndarray) -> Self:
        """Of some of these rows, without a copy."""
        return replace(self, chosen=np.arange(len(self))[rows] if self.chosen is None else self.chosen[rows])

    def of_columns(self, order: Sequence[int] | np.ndarray) -> Self:
        """Of some of the columns, in another order; those of a block stay together.

        Raises UserError where they would not: rows would no longer be one block's.
        """
        number = np.searchsorted(self._firsts[1], np.asarray(order), side="right") - 1
        if (np.diff(number) < 0).any():
            raise UserError(
                "targets: expected those of one subject together, and subjects in the order of the data's; found others"
            )
        columns = [np.asarray(order)[number == k] - first for k, first in enumerate(self._firsts[1, :-1])]
        return replace(self, blocks=tuple(b[:, c] for b, c in zip(self.blocks, columns, strict=True)))

    def __getitem__(self, rows: Any) -> np.ndarray:
        index = np.arange(len(self))[rows] if self.chosen is None else self.chosen[rows]
        flat = np.atleast_1d(index)
        found = np.full((len(flat), self.shape[1]), np.nan, self.dtype)
        for which, columns, values in _blocks(self.blocks, self._firsts, flat):
            found[which, columns] = values
        return found[0] if np.ndim(index) == 0 else found

    def __iter__(self) -> Iterator[Block]:
        """The blocks of these rows; one of which there is no row is empty."""
        rows = np.arange(len(self)) if self.chosen is None else self.chosen
        return _blocks(self.blocks, self._firsts, rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it. Raises UserError where that would fill the memory."""
        size = len(self) * self.shape[1] * self.dtype.itemsize
        if size > _MOST:
            raise UserError(
                f"targets: {len(self):,} samples x {self.shape[1]:,} targets of all subjects would take "
                f"{size / 1e9:,.0f} GB as one array; ask one subject after the other (run.subject, Opened.subjects)"
            )
        return self[:].astype(dtype or self.dtype, copy=False)


Targets = np.ndarray | BlockDiagonal


def blocks_of(targets: Targets) -> Iterator[Block]:
    """The blocks of (n, t) targets; an array is one."""
    if isinstance(targets, BlockDiagonal):
        yield from targets
    else:
        yield Block(np.arange(len(targets)), slice(0, targets.shape[1]), targets)


def taken(targets: Targets, rows: np.ndarray) -> Targets:
    """Those of some samples."""
    return targets.taken(rows) if isinstance(targets, BlockDiagonal) else targets[rows]


def of_columns(targets: Targets, order: np.ndarray) -> Targets:
    """Some columns, in another order."""
    return targets.of_columns(order) if isinstance(targets, BlockDiagonal) else targets[:, order]


def column_of(targets: Targets, column: int) -> np.ndarray:
    """One target's numbers, of the samples that it may be known of."""
    if not isinstance(targets, BlockDiagonal):
        return targets[:, column]
    return next(
        block.values[:, column - block.columns.start]
        for block in targets
        if block.columns.start <= column < block.columns.stop
    )


def mapped(targets: Targets, change: Any) -> Targets:
    """With `change` (columns, values (n, k)) -> values (n, k) applied to each block."""
    if not isinstance(targets, BlockDiagonal):
        return change(slice(0, targets.shape[1]), targets)
    firsts = targets._firsts[1]
    changed = (
        change(slice(int(firsts[k]), int(firsts[k + 1])), block) for k, block in enumerate(targets.blocks)
    )
    return replace(targets, blocks=tuple(changed))


def _blocks(blocks: Sequence[np.ndarray], firsts: np.ndarray, rows: np.ndarray) -> Iterator[Block]:
    """Of the rows asked for, in their order, those of each block."""
    number = np.searchsorted(firsts[0], rows, side="right") - 1
    for k, block in enumerate(blocks):
        which = np.flatnonzero(number == k)
        own = rows[which] - firsts[0, k]
        whole = len(own) == len(block) and (own == np.arange(len(block))).all()
        columns = slice(int(firsts[1, k]), int(firsts[1, k + 1]))
        yield Block(which, columns, block if whole else block[own])
