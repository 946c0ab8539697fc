"""Whether an objective can be learned from the training split: told before anything is decoded or compiled."""

from collections.abc import Iterator

import numpy as np

from jaxlab.core.blocks import BlockDiagonal, Targets, blocks_of
from jaxlab.core.precision import moments
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.data.source import LEAVE_OUT, examples, not_numbers

_ROWS = 512  # looked at a time: of a whole brain, all would be gigabytes
_USUAL = (1e-3, 1e3)  # of what a network's first outputs and usual learning rates are made for
_SQUARES = (1e-18, 1e18)  # beyond, squares are no normal numbers of float32


def check_numbers(
    name: str, truth: Targets, ids: np.ndarray, targets: tuple[str, ...], missing: bool
) -> None:
    """Raises UserError for (n, t) numbers that are not finite; `missing` ones may be NaN."""
    bad = [
        (int(block.rows[row]), block.columns.start + column)
        for block in blocks_of(truth)
        for row, column in _where(block.values, lambda part: not_numbers(part, missing))
    ]
    if bad:
        shown = examples(f"{ids[row]}, target {targets[column]}" for row, column in bad)
        raise UserError(f"objective {name!r}: {len(bad)} values are not finite ({shown}); {LEAVE_OUT}")


def _where(truth: np.ndarray, wrong) -> Iterator[tuple[int, int]]:
    for start in range(0, len(truth), _ROWS):
        for row, column in np.argwhere(wrong(truth[start : start + _ROWS])).tolist():
            yield start + row, column


def constant(name: str, truth: Targets, learn: np.ndarray, targets: tuple[str, ...]) -> list[str]:
    """A line on targets of one value in all training samples; of several subjects in their own. learn: their rows."""
    of_each = (
        [(block.values, np.arange(len(block.values))) for block in truth.taken(learn)]
        if isinstance(truth, BlockDiagonal)
        else [(truth, learn)]
    )
    same = np.concatenate([_constant(values, rows) for values, rows in of_each])
    if not (found := [targets[column] for column in np.flatnonzero(same).tolist()]):
        return []
    return [
        f"warning: {name}: {len(found)} of {counted(len(targets), 'target')} constant in all training samples "
        f"({examples(found)}): nothing is learned of such, and they have no correlation"
    ]


def _constant(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(t,) which columns have one value at `rows`, of which there are two or more."""
    same = np.full(values.shape[1], len(rows) > 1)
    for start in range(0, len(rows), _ROWS):
        same &= (values[rows[start : start + _ROWS]] == values[rows[:1]]).all(0)
    return same


def gaps(name: str, truth: Targets, targets: tuple[str, ...]) -> list[str]:
    """A line on how much of the training split's (n, t) truth is missing; of several subjects in their own samples.

    Raises UserError for targets of which nothing is known.
    """
    known = np.concatenate([_known(block.values) for block in blocks_of(truth)])
    of = np.concatenate([np.full(block.values.shape[1], len(block.values)) for block in blocks_of(truth)])
    if nowhere := [targets[column] for column in np.flatnonzero(known == 0).tolist()]:
        raise UserError(
            f"objective {name!r}: {counted(len(nowhere), 'target')} missing in all {len(truth)} training samples "
            f"({examples(nowhere)}): nothing can be learned of that; leave such targets out, or change the split, or "
            "limit"
        )
    if (total := known.sum()) == truth.size:
        return []
    least = int((known / of).argmin())
    return [
        f"{name}: {truth.size - total} of {truth.size} target values for training are missing and left out "
        f"({1 - total / truth.size:.1%}); of {targets[least]} {known[least]} of {of[least]} are known, of the others "
        "as many or more"
    ]


def _known(truth: np.ndarray) -> np.ndarray:
    """(t,) how many of (n, t) are."""
    known = np.zeros(truth.shape[1], int)
    for start in range(0, len(truth), _ROWS):
        known += (~np.isnan(truth[start : start + _ROWS])).sum(0)
    return known


def unusual_units(name: str, loss: str, truth: Targets) -> list[str]:
    """A line where (n, t) numbers that a loss compares as they are lie far from 1.

    Raises UserError where float32 cannot square them.
    """
    sizes = []
    for block in blocks_of(truth):
        for start in range(0, block.values.shape[1], _ROWS):
            mean, deviation, _ = moments(block.values[:, start : start + _ROWS].astype(np.float64))
            sizes.append(np.hypot(mean, deviation))
    size = float(np.median(np.concatenate(sizes)))
    if size == 0 or _USUAL[0] <= size <= _USUAL[1]:
        return []
    about = (
        f"{name}: {loss} compares the targets as they are, and their usual size is {size:.2g}, where a network's "
        "outputs and learning rates are made for numbers near 1"
    )
    mend = 'let them be standardised (training.standardize=true, a loss of space "standardised"), or rescale them'
    if not _SQUARES[0] <= size <= _SQUARES[1]:
        raise UserError(f"{about}; float32 cannot even square such numbers: {mend}")
    return [f"warning: {about}: it may learn nothing, or diverge; {mend}"]


def unseen_classes(name: str, counts: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    """A line on classes without a sample in the training split; counts: (t,) of its samples."""
    if not (absent := [classes[k] for k in np.flatnonzero(counts == 0).tolist()]):
        return []
    return [
        f"warning: objective {name!r}: {counted(len(absent), 'class has', 'classes have')} no sample among the "
        f"{counts.sum():.0f} for training ({examples(absent)}); another split may give them some"
    ]


def check_classes(name: str, loss: str, counts: np.ndarray, classes: tuple[str, ...]) -> None:
    """Raises UserError for classes without a sample in the training split; counts: (t,) of its samples."""
    if absent := [classes[k] for k in np.flatnonzero(counts == 0).tolist()]:
        have = "class has" if len(absent) == 1 else "classes have"
        raise UserError(
            f"objective {name!r}: {loss} needs how frequent classes are, but {len(absent)} {have} no sample among the "
            f"{counts.sum():.0f} for training ({examples(absent)}): change the split, leave such classes out, or use a "
            "loss without class weights"
        )
