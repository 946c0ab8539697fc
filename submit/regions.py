"""Regions of interest: which targets belong to which, read from a file or from the targets' names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from submit.errors import SubmissionError, about, named
from submit.files.csv_table import read_header, read_names
from submit.files.zips import read_npz
from submit.late import Late

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")

_HEADERS = ("target", "targets", "name", "id")  # of the first column, also where a target is so named
_VERTEX = re.compile(r"((?:.+\.)?[lr]h)\.\d+")  # lh.00042, subj01.rh.00042


def load_regions(path: str | Path, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (t,) bool, of a .npz with a mask a region, or a .csv of two columns, target and region.

    A mask has one value a target, in the order of `targets`, the solution's. A CSV names targets, in any order, once
    for each region that they are in. Raises SubmissionError for masks of other shapes, targets that are not there and
    regions without a target.
    """
    path = Path(path)
    with about(path):
        if path.suffix.lower() == ".npz":
            regions = checked_masks(read_npz(path), len(targets))
        elif path.suffix.lower() == ".csv":
            regions = _memberships(path, targets)
        else:
            raise SubmissionError("expected a .npz of masks or a .csv of targets and their regions.")
        empty = [name for name, mask in regions.items() if not mask.any()]
        if empty or not regions:
            raise SubmissionError(f"no target is in {named(empty, len(empty)) or 'any region'}.")
        return regions


def hemispheres(targets: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (t,) bool of the hemispheres of vertices named as `lh.00042` or `subj01.rh.00042`; else none."""
    found = [_VERTEX.fullmatch(name) for name in targets.tolist()]
    stems = np.array([match[1] if match else "" for match in found])
    names = pd.unique(pd.Series(stems))
    return {name: stems == name for name in names} if "" not in names and len(names) > 1 else {}


def checked_masks(regions: Mapping[str, np.ndarray], targets: int) -> dict[str, np.ndarray]:
    """Name -> mask. Raises SubmissionError for a mask that is not (targets,) bool: numbers would choose by position."""
    masks = {name: np.asarray(mask) for name, mask in regions.items()}
    faults = [
        f"{name!r} is {mask.dtype} of shape {mask.shape}"
        for name, mask in masks.items()
        if mask.dtype != bool or mask.shape != (targets,)
    ]
    if faults:
        raise SubmissionError(
            f"expected masks of {targets:,} bool, one a target; found that {'; '.join(faults[:5])}"
            + (f" and {len(faults) - 5:,} more." if len(faults) > 5 else ".")
        )
    return masks


def _memberships(path: Path, targets: np.ndarray) -> dict[str, np.ndarray]:
    header = read_header(path)
    if len(header) != 2:
        raise SubmissionError(f"expected two columns, target and region; found {len(header)}.")
    if header[0] in targets and header[0].lower() not in _HEADERS:
        raise SubmissionError(
            f"expected a header, as target,region; its first line is of a target, {','.join(header)!r}."
        )
    _, members, regions = read_names(path)
    unknown = np.unique(members[~np.isin(members, targets)])
    if len(unknown):
        raise SubmissionError(
            f"{len(unknown):,} targets are not in the solution: {named(unknown, len(unknown))}; "
            f"it has {named(targets, len(targets))}."
        )
    regions = np.strings.strip(regions)
    if without := members[regions == ""].tolist():
        raise SubmissionError(
            f"{len(without):,} targets have no region beside them: {named(without, len(without))}."
        )
    inside = pd.Series(members).groupby(np.array(regions, dtype=object), sort=False)
    return {str(name): np.isin(targets, group.to_numpy()) for name, group in inside}
