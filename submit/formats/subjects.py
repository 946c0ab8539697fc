"""Predictions by subject and area: targets `lh.00042` or `subj01.lh.00042` as columns of one array for each.

An area is a hemisphere or a region of interest; what follows it is the number of the vertex or voxel, from 0.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit.alignment import differences, matched
from submit.errors import SubmissionError, about, named
from submit.predictions import Predictions

PredictionsOrFile = Predictions | str | Path
_TARGET = r"^(?:(?P<subject>[^.]+)\.)?(?P<area>[^.]+)\.(?P<number>\d{1,7})$"  # all up to it are counted
_TELLING = 8  # values of a column, of which no two are alike by chance


@dataclass(frozen=True, eq=False)
class SubjectPart:
    """A subject's predictions (n, t); rows puts the samples in order.

    area: (t,) of each target, empty where it is another subject's. number: (t,) of its vertex or voxel.
    """

    values: np.ndarray
    rows: np.ndarray | slice
    area: np.ndarray
    number: np.ndarray
    provenance: Mapping[str, Any]


def by_subject(
    predictions: Mapping[str, PredictionsOrFile | Sequence[PredictionsOrFile]] | PredictionsOrFile,
) -> dict[str, Sequence[PredictionsOrFile]]:
    """The predictions or files of each subject, however they were given.

    Raises SubmissionError for a folder without npz, and predictions whose targets name no subject.
    """
    if isinstance(predictions, Mapping):
        return {
            name: [sources] if isinstance(sources, Predictions | str | Path) else sources
            for name, sources in predictions.items()
        }
    if not isinstance(predictions, Predictions):
        path = Path(predictions)
        if path.is_dir():
            files = sorted(path.glob("*.npz"))
            if not files:
                raise SubmissionError(f"{path}: expected subj01.npz and so on, found no npz.")
            return {file.stem: [file] for file in files}
        predictions = Predictions.load(path)
    subjects = _parsed(predictions.targets)["subject"].dropna().unique().tolist()
    if not subjects:
        raise SubmissionError(
            "expected predictions by subject, as in subj01=FILE, or targets that begin with the subject; found "
            f"targets {named(predictions.targets, len(predictions.targets), 2)}."
        )
    return {name: [predictions] for name in subjects}


def subject_faults(subjects: Collection[str], expected: Sequence[str]) -> list[str]:
    """Sentences on subjects that are missing or unknown; one on how they are named where none is known."""
    if subjects and not set(subjects) & set(expected):
        called = f"{expected[0]} to {expected[-1]}" if len(expected) > 1 else expected[0]
        return [
            f"expected subjects named {called}, as in {expected[0]}=FILE; found {named(subjects, len(subjects))}"
        ]
    return differences(np.array(list(subjects)), np.array(list(expected)), "subjects", "the predictions")


def subject_part(
    source: PredictionsOrFile,
    subject: str,
    areas: Collection[str],
    images: int,
    ids: np.ndarray | None = None,
) -> SubjectPart:
    """A subject's predictions, or a part of them.

    images: number of test images. ids: theirs in the order of the rows, or None to go by the order of the names, which
    must be that of the numbers in them too.
    Raises SubmissionError, naming subject and file, when targets or samples are others than those.
    """
    with about(subject):
        predictions = source if isinstance(source, Predictions) else Predictions.load(source)
    with about(subject if isinstance(source, Predictions) else f"{subject}: {source}"):
        if predictions.kind != "regression":
            raise SubmissionError(f"expected responses, found predictions of kind {predictions.kind!r}.")
        parsed = _parsed(predictions.targets)
        odd = predictions.targets[~parsed["area"].isin(areas).to_numpy()]
        if len(odd):
            raise SubmissionError(
                f"{len(odd):,} targets are not named by one of {', '.join(areas)} and a number, as "
                f"'{min(areas)}.00042': {named(odd, len(odd))}."
            )
        own = (parsed["subject"].isna() | (parsed["subject"] == subject)).to_numpy()
        return SubjectPart(
            predictions.values,
            _rows(predictions.ids, images, ids),
            np.where(own, parsed["area"].to_numpy(np.str_), ""),
            parsed["number"].to_numpy(np.int64),
            predictions.provenance,
        )


def area_values(
    parts: Sequence[SubjectPart], area: str, images: int, size: int | None
) -> tuple[np.ndarray, list[str]]:
    """(images, size) float32 out of a subject's parts, and its faults: targets missing, repeated, unknown.

    size: how many vertices or voxels the area has; None: as many as the highest number says.
    """
    chosen = [np.flatnonzero(part.area == area) for part in parts]
    numbers = [part.number[columns] for part, columns in zip(parts, chosen, strict=True)]
    found = np.concatenate([np.empty(0, np.int64), *numbers])
    if size is None:
        size = int(found.max(initial=-1)) + 1
    beyond = np.unique(found[found >= size])
    counts = np.bincount(found[found < size], minlength=size)
    again, missing = np.flatnonzero(counts > 1), np.flatnonzero(counts == 0)
    faults = [] if len(found) else ["nothing of it is predicted"]
    if len(found) and len(missing):
        faults.append(
            f"{len(missing):,} of {size:,} targets are not predicted: {named(missing, len(missing))}; "
            "the challenge takes all or nothing, so add predictions of the others"
        )
    if len(again):
        faults.append(f"{len(again):,} targets are predicted more than once: {named(again, len(again))}")
    if len(beyond):
        faults.append(f"{len(beyond):,} targets are beyond the {size:,}: {named(beyond, len(beyond))}")
    if faults:
        return np.empty((images, 0), np.float32), faults
    values = np.empty((images, size), np.float32)
    for part, columns, places in zip(parts, chosen, numbers, strict=True):
        values[:, places] = part.values[:, columns][part.rows]
    return values, []


def value_faults(values: np.ndarray) -> list[str]:
    """Columns of (n, v) that are not finite or constant; both leave a correlation undefined."""
    low, high = values.min(0), values.max(0)  # a NaN comes through as NaN
    finite = np.isfinite(low) & np.isfinite(high)
    faults = {"hold values that are not finite": ~finite, "are constant": finite & (low == high)}
    return [
        f"{len(columns):,} columns {what}: {named(columns, len(columns))}"
        for what, where in faults.items()
        if len(columns := np.flatnonzero(where))
    ]


class Repeats:
    """Notices values that were given before for something else: one run for two subjects, one array for two areas."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[str, str]] = {}

    def faults(self, name: str, subject: str, values: np.ndarray) -> list[str]:
        """A sentence where (n, v) is an array before, or begins or ends with the column that another subject's does.

        So exactly none is by chance. Areas of one subject may share voxels. name: for messages.
        """
        single = np.asarray(values, np.float32)
        parts = (single, single[:, :1], single[:, -1:]) if len(single) >= _TELLING else (single,)
        keys = [hashlib.sha256(repr(part.shape).encode() + part.tobytes()).digest() for part in parts]
        before = [(key, *self._seen[key]) for key in keys if key in self._seen]
        same = [one for one in before if one[1] != name and (one[0] == keys[0] or one[2] != subject)]
        for key in keys:
            self._seen.setdefault(key, (name, subject))
        if not same:
            return []
        _, first, owner = same[0]
        two = "array given for two areas" if owner == subject else "run given for two subjects"
        return [f"its values are those of {first}; was one {two}?"]


def _parsed(targets: np.ndarray) -> pd.DataFrame:
    """Columns subject, area and number, missing where a name has none."""
    return pd.Series(targets, dtype=object).str.extract(_TARGET)


def _sorted(ids: np.ndarray) -> np.ndarray:
    """Their order by name. Raises SubmissionError where that is another by number, as of '2' and '10'."""
    order = np.argsort(ids)
    names = ids[order].tolist()
    numbers = [
        [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)] for name in names
    ]
    for (first, second), (low, high) in zip(pairwise(names), pairwise(numbers), strict=True):
        if low > high:
            raise SubmissionError(
                f"the order of the samples is not clear: {first!r} comes before {second!r} as text, after it as a "
                "number. Expected the stems of the test files as ids, sorted by which the challenge has them."
            )
    return order


def _rows(ids: np.ndarray, images: int, wanted: np.ndarray | None) -> np.ndarray | slice:
    """Which sample each row of the submission is."""
    if wanted is None:
        if len(ids) != images:
            raise SubmissionError(f"expected {images} test samples, found {len(ids)}.")
        return _sorted(ids)
    short = np.array([name.rpartition("_")[2] for name in wanted.tolist()], np.str_)
    if np.isin(ids, short).any():  # of several subjects at once: nsd-00013 for test-0001_nsd-00013
        wanted = short
    return matched(ids, wanted, "test images", "the predictions")
