"""Where targets lie, as on a cortex: a table of coordinates by target name."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from jaxlab.core import tree
from jaxlab.core.subjects import SEPARATOR, subjects_in, without_subject
from jaxlab.core.types import UserError
from jaxlab.data.readers.tables import ids_of, read_columns, read_header
from jaxlab.data.source import examples
from submit.late import Late
from submit.near_names import difference

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")

AXES = 3  # that a table of fewer is filled up to
STEPS = 100.0  # the length of the longest axis, whatever it was measured in


def read_coordinates(path: Path, targets: tuple[str, ...]) -> Float[np.ndarray, "t 3"]:
    """From a CSV or Parquet file whose first column names targets and whose next one to three are numbers.

    They start at 0, and the axis along which these targets spread most ends at 100; axes that are not there are 0.
    Further rows are passed over. Targets SUBJECT/TARGET may be SUBJECT.TARGET there; those of one subject, as each
    readout of `PerSubject` has, may be TARGET alone. Raises UserError for a file that does not place every target, or
    all at one spot.
    """
    name, *axes = read_header(path)
    if not 1 <= len(axes) <= AXES:
        raise UserError(
            f"{path}: expected a column of target names and one to {AXES} of coordinates, found {len(axes)} beside "
            f"{name!r}: {examples(axes) or 'none'}"
        )
    table = read_columns(path, [name], axes)
    problems: list[str] = []
    names = ids_of(table, name, path, problems)
    values = np.stack(
        [np.asarray(pd.to_numeric(table[axis], errors="coerce"), np.float64) for axis in axes], 1
    )
    if odd := names[~np.isfinite(values).all(1)].tolist():
        problems.append(
            f"{path}: expected a number in each of {examples(axes)}, found none of {examples(odd)}"
        )
    row = {target: k for k, target in enumerate(names.tolist())}
    wanted = next((form for form in _forms(targets) if all(target in row for target in form)), targets)
    if absent := [target for target in wanted if target not in row]:
        near = difference(absent, row)
        problems.append(
            f"{path}: expected coordinates of {len(targets)} targets, found none of {len(absent)} of them "
            f"({examples(absent)}){f'; {near}' if near else ''}"
        )
    if problems:
        raise UserError("; ".join(problems))
    return _scaled(values[[row[target] for target in wanted]], path)


def _forms(targets: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The names that a table may have for them."""
    yield targets
    if not all(SEPARATOR in target for target in targets):
        return
    yield tuple(target.replace(SEPARATOR, ".", 1) for target in targets)
    if len(subjects_in(targets)) == 1:
        yield tuple(without_subject(target) for target in targets)


def _scaled(values: Float[np.ndarray, "t k"], path: Path) -> Float[np.ndarray, "t 3"]:
    lowest = values.min(0)
    span = (values - lowest).max()
    if not 0 < span < np.inf:
        raise UserError(f"{path}: expected targets at different places, found all {len(values)} at one")
    placed = np.zeros((len(values), AXES), np.float32)
    placed[:, : values.shape[1]] = (values - lowest) * (STEPS / span)
    return placed


def check_same(kept: tree.Flat, others: tree.Flat, words: str) -> None:
    """Raises UserError, of `words`, where the statistics of two networks have coordinates that differ."""
    for path in (path for path in kept if path.endswith("coordinates.values")):
        values, other = (np.asarray(flat[path]) for flat in (kept, others))
        moved = np.any(~np.isclose(values, other, rtol=1e-4, atol=1e-3), axis=1).sum()
        if moved:
            raise UserError(
                f"{words}: expected the same coordinates of {len(values)} targets, found {moved} elsewhere"
            )
