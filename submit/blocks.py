"""Long work in parts: arrays taken to float64 a few hundred targets at a time, and a progress bar."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from submit.errors import SubmissionError

T = TypeVar("T")

CELLS = 2**20  # values of the largest input taken to float64 at a time


def blocks(*arrays: np.ndarray) -> Iterator[tuple[slice, tuple[np.ndarray, ...]]]:
    """(which targets, each array's float64 block) over the last axis, which the arrays share.

    Raises SubmissionError for arrays of anything but numbers.
    """
    if other := [array.dtype for array in arrays if array.dtype.kind not in "fiub"]:
        raise SubmissionError(f"expected numbers; found {other[0]}.")
    targets = arrays[0].shape[-1]
    rows = max(array[..., :1].size for array in arrays)
    step = max(1, CELLS // max(rows, 1))
    for start in range(0, targets, step):
        which = slice(start, min(start + step, targets))
        yield which, tuple(array[..., which].astype(np.float64) for array in arrays)


def by_block(score: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """(t,) `score` of each block, one after another. What is undefined is left as it comes, without a warning."""
    with np.errstate(all="ignore"):
        found = [score(*block) for _, block in blocks(*arrays)]
    return np.concatenate(found) if found else np.empty(0)


def above_lowest(block: np.ndarray) -> np.ndarray:
    """(..., t) less the lowest value of each target: a constant, whose mean may be rounded, is exactly 0."""
    return block - np.fmin.reduce(block, axis=tuple(range(block.ndim - 1)))


def progress(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """`items`, with a progress bar on stderr where that is a terminal and there are several."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal or total < 2:  # rich before 14 ends what it does not draw with an empty line
        return items
    return track(items, what, total, console=console, transient=True)
