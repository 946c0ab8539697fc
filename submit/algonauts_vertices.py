"""Predictions of Algonauts 2023 by subject and hemisphere: targets `lh.00042` or `subj01.lh.00042` as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit.algonauts_layout import Subject
from submit.align import matched
from submit.errors import SubmissionError, about, named
from submit.predictions import Predictions

Source = Predictions | str | Path
_TARGET = r"^(?:(?P<subject>[^.]+)\.)?(?P<hemisphere>lh|rh)\.(?P<vertex>\d{1,9})$"


@dataclass(frozen=True, eq=False)
class Part:
    """A subject's predictions (n, t), n in any order that `rows` puts right.

    hemisphere: (t,) lh or rh, or another word where a target is none of this subject. vertex: (t,).
    """

    values: np.ndarray
    rows: np.ndarray | slice
    hemisphere: np.ndarray
    vertex: np.ndarray
    provenance: Mapping[str, Any]


def by_subject(
    predictions: Mapping[str, Source | Sequence[Source]] | Source,
) -> dict[str, Sequence[Source]]:
    """The predictions or files of each subject, however they were given.

    Raises SubmissionError for a folder without npz, and predictions whose targets name no subject.
    """
    if isinstance(predictions, Mapping):
        return {
            name: [given] if isinstance(given, Predictions | str | Path) else given
            for name, given in predictions.items()
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
            "These predictions are of one subject, and do not say of which "
            f"(targets {named(predictions.targets, len(predictions.targets), 2)}): give them by subject, as in "
            "subj01=FILE."
        )
    return {name: [predictions] for name in subjects}


def opened(source: Source, name: str, subject: Subject) -> Part:
    """Raises SubmissionError, naming subject and file, when targets or samples are not those of the challenge."""
    where = name if isinstance(source, Predictions) else f"{name}, {source}"
    predictions = source if isinstance(source, Predictions) else Predictions.load(source)
    with about(where):
        if predictions.kind != "regression":
            raise SubmissionError(f"expected responses, found predictions of kind {predictions.kind!r}.")
        parsed = _parsed(predictions.targets)
        odd = predictions.targets[parsed["hemisphere"].isna().to_numpy()]
        if len(odd):
            raise SubmissionError(
                f"{len(odd):,} targets are not named by hemisphere and vertex, as 'lh.00042': {named(odd, len(odd))}."
            )
        own = (parsed["subject"].isna() | (parsed["subject"] == name)).to_numpy()
        return Part(
            predictions.values,
            _rows(predictions.ids, subject),
            np.where(own, parsed["hemisphere"].to_numpy(np.str_), ""),
            parsed["vertex"].to_numpy(np.int64),
            predictions.provenance,
        )


def hemisphere_values(
    parts: Sequence[Part], hemisphere: str, subject: Subject
) -> tuple[np.ndarray, list[str]]:
    """(images, vertices) float32 out of a subject's parts, and its faults: vertices missing, repeated, unknown."""
    images, vertices = subject.shape(hemisphere)
    chosen = [np.flatnonzero(part.hemisphere == hemisphere) for part in parts]
    found = np.concatenate([part.vertex[columns] for part, columns in zip(parts, chosen, strict=True)])
    beyond = np.unique(found[found >= vertices])
    counts = np.bincount(found[found < vertices], minlength=vertices)
    again, missing = np.flatnonzero(counts > 1), np.flatnonzero(counts == 0)
    faults = []
    if len(missing):
        faults.append(
            f"{len(missing):,} of {vertices:,} vertices are not predicted: {named(missing, len(missing))}; "
            "the challenge takes all or nothing, so add predictions of the others"
        )
    if len(again):
        faults.append(f"{len(again):,} vertices are predicted more than once: {named(again, len(again))}")
    if len(beyond):
        faults.append(f"{len(beyond):,} vertices are beyond the {vertices:,}: {named(beyond, len(beyond))}")
    if faults:
        return np.empty((images, 0), np.float32), faults
    values = np.empty((images, vertices), np.float32)
    for part, columns in zip(parts, chosen, strict=True):
        values[:, part.vertex[columns]] = part.values[:, columns][part.rows]
    return values, []


def _parsed(targets: np.ndarray) -> pd.DataFrame:
    """Columns subject, hemisphere and vertex, missing where a name has none."""
    return pd.Series(targets, dtype=object).str.extract(_TARGET)


def _rows(ids: np.ndarray, subject: Subject) -> np.ndarray | slice:
    """Which sample each row of the submission is."""
    names = subject.names
    if names is None:
        if len(ids) != subject.images:
            raise SubmissionError(f"expected {subject.images} test images, found {len(ids)}.")
        return np.argsort(ids)
    if not np.isin(ids, names).any():  # of several subjects at once: nsd-00013 for test-0001_nsd-00013
        names = np.array([name.rpartition("_")[2] for name in names.tolist()], np.str_)
    return matched(ids, names, "test images", "the predictions")
