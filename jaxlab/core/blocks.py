"""Targets of several subjects without what none of them knows: each subject's rows and columns, and no others.

Eight subjects of 9,000 images and 39,548 vertices are 12 GB so, and as one array of numbers and gaps 91.
"""

from collections.abc import Callable, Iterator, Sequence
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
    """(n, t) numbers: those of `blocks` (n_k, t_k), and NaN elsewhere.

    Blocks may lie on disk. corners: (row, column) where each begins; None: one after the other along both axes.
    chosen: (m,) which of all rows these are, in that order; None: all.
    Indexed by rows it gives an array, (m, t) with NaN, of a batch or so.
    """

    blocks: tuple[np.ndarray, ...]
    corners: tuple[tuple[int, int], ...] | None = None
    chosen: np.ndarray | None = None

    ndim = 2

    @cached_property
    def at(self) -> np.ndarray:
        """(k, 2) where each block begins."""
        if self.corners is not None:
            return np.array(self.corners).reshape(-1, 2)
        return np.cumsum([[0, 0], *(block.shape for block in self.blocks)], axis=0)[:-1]

    @cached_property
    def _whole(self) -> tuple[int, int]:
        """The shape of all rows."""
        rows, columns = (self.at + [block.shape for block in self.blocks]).max(0).tolist()
        return rows, columns

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*self.blocks)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self._whole[1]

    @property
    def size(self) -> int:
        """How many numbers the blocks hold of these rows, known or not."""
        return sum(len(which) * block.shape[1] for which, _, _, block in self._placed(self._rows))

    @property
    def _rows(self) -> np.ndarray:
        return np.arange(self._whole[0]) if self.chosen is None else self.chosen

    def __len__(self) -> int:
        return self._whole[0] if self.chosen is None else len(self.chosen)

    def taken(self, rows: np.ndarray) -> Self:
        """Of some of these rows, without a copy."""
        return replace(self, chosen=self._rows[rows])

    def of_columns(self, order: np.ndarray) -> Self:
        """Of some of the columns, in another order; those of a block stay together, and blocks follow their columns.

        Raises UserError where they would not: rows would no longer be one block's.
        """
        order, placed = np.asarray(order), []
        for (row, first), block in zip(self.at.tolist(), self.blocks, strict=True):
            place = np.flatnonzero((order >= first) & (order < first + block.shape[1]))
            if len(place) and place[-1] - place[0] >= len(place):
                raise UserError("targets: expected those of one subject together, found others among them")
            columns = order[place] - first
            same = np.array_equal(columns, np.arange(block.shape[1]))
            corner = (row, int(place[0]) if len(place) else 0)
            placed.append((corner, block if same else block[:, columns]))
        placed.sort(key=lambda one: one[0][1])
        corners, blocks = zip(*placed, strict=True)
        return replace(self, blocks=blocks, corners=corners)

    def column(self, column: int) -> np.ndarray:
        """One target's numbers, of the samples that it may be known of; of the disk no more is read."""
        for _, columns, own, block in self._placed(self._rows):
            if columns.start <= column < columns.stop:
                return np.asarray(block[own, column - columns.start])
        raise IndexError(f"column {column} of {self.shape[1]}")

    def __getitem__(self, rows: Any) -> np.ndarray:
        index = self._rows[rows]
        flat = np.atleast_1d(index)
        found = np.full((len(flat), self.shape[1]), np.nan, self.dtype)
        for which, columns, own, block in self._placed(flat):
            found[which, columns] = block[own]
        return found[0] if np.ndim(index) == 0 else found

    def __iter__(self) -> Iterator[Block]:
        """The blocks of these rows, each in memory while it is looked at; one of which there is no row is empty."""
        for which, columns, own, block in self._placed(self._rows):
            whole = len(own) == len(block) and bool((own == np.arange(len(block))).all())
            loaded = np.array(block) if whole and isinstance(block, np.memmap) else block
            yield Block(which, columns, loaded if whole else block[own])

    def _placed(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, slice, np.ndarray, np.ndarray]]:
        """Of each block: which of `rows` it has, its columns, which of its own rows these are, and itself."""
        for (row, column), block in zip(self.at.tolist(), self.blocks, strict=True):
            which = np.flatnonzero((rows >= row) & (rows < row + len(block)))
            yield which, slice(column, column + block.shape[1]), rows[which] - row, block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it. Raises UserError where that would fill the memory."""
        size = len(self) * self.shape[1] * self.dtype.itemsize
        if size > _MOST:
            raise UserError(
                f"targets: {len(self):,} samples x {self.shape[1]:,} targets of all subjects would take "
                f"{size / 1e9:,.0f} GB as one array; ask one subject after the other (run.subject, Opened.subjects)"
            )
        return self[:].astype(dtype or self.dtype, copy=False)


def joined(parts: Sequence["Targets"]) -> BlockDiagonal:
    """Of several subjects' targets, one after the other along both axes."""
    blocks: list[np.ndarray] = []
    corners: list[tuple[int, int]] = []
    row = column = 0
    for part in parts:
        own = part if isinstance(part, BlockDiagonal) else BlockDiagonal((part,))
        if own.chosen is not None:
            raise ValueError("expected targets of all rows")
        blocks += own.blocks
        corners += [(row + first, column + left) for first, left in own.at.tolist()]
        row, column = row + len(own), column + own.shape[1]
    return BlockDiagonal(tuple(blocks), tuple(corners))


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
    return targets.column(column) if isinstance(targets, BlockDiagonal) else targets[:, column]


def mapped(targets: Targets, change: Callable[[slice, np.ndarray], np.ndarray]) -> Targets:
    """With `change` (columns, values (n, k)) -> values (n, k) applied to each block."""
    if not isinstance(targets, BlockDiagonal):
        return change(slice(0, targets.shape[1]), targets)
    changed = (
        change(slice(column, column + block.shape[1]), block)
        for (_, column), block in zip(targets.at.tolist(), targets.blocks, strict=True)
    )
    return replace(targets, blocks=tuple(changed))
