"""Regions of interest: which targets belong to which."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from submit.errors import SubmissionError, about, named
from submit.predictions import names
from submit.table import read_names

Rois = dict[str, np.ndarray]


def load_rois(path: str | Path, targets: np.ndarray) -> Rois:
    """(t,) bool of each region by its name, in the order of `targets` (t,).

    path: an npz with a (t,) bool array for each region, by position as ceilings are; or a CSV of the columns
    target,roi with a line for each region that a target is in. Regions may overlap, and a target may be in none.
    Raises SubmissionError for arrays of another length or type, and for targets that are not there.
    """
    path = Path(path)
    targets = names(targets, "targets")
    with about(path):
        if path.suffix.lower() == ".npz":
            return _from_npz(path, targets)
        if path.suffix.lower() == ".csv":
            return _from_csv(path, targets)
        raise SubmissionError("expected a .npz of masks, or a .csv of the columns target,roi.")


def _from_npz(path: Path, targets: np.ndarray) -> Rois:
    try:
        with np.load(path, allow_pickle=False) as file:
            masks = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise SubmissionError("there is no such file.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SubmissionError(f"expected an npz of masks ({error}).") from error
    wrong = [
        f"{name!r} is {mask.dtype} of shape {mask.shape}"
        for name, mask in masks.items()
        if mask.dtype != bool or mask.shape != targets.shape
    ]
    if wrong or not masks:
        raise SubmissionError(
            f"expected bool masks of shape {targets.shape}, one value a target; found {', '.join(wrong) or 'none'}."
        )
    return masks


def _from_csv(path: Path, targets: np.ndarray) -> Rois:
    header, listed, regions = read_names(path)
    if header != ["target", "roi"]:
        raise SubmissionError(f"expected the columns target,roi; found {','.join(header[:5])}.")
    unknown = pd.unique(pd.Series(listed[~pd.Index(listed).isin(targets)]))
    if len(unknown):
        raise SubmissionError(
            f"{len(unknown):,} targets are not among the {len(targets):,} there are: {named(unknown, len(unknown))}."
        )
    if not regions:
        raise SubmissionError("expected a line for each target in a region, found none.")
    rows = pd.Index(targets).get_indexer(pd.Index(listed))
    of = np.array(regions)
    return {name: np.isin(np.arange(len(targets)), rows[of == name]) for name in dict.fromkeys(regions)}
