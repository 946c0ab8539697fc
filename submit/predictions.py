"""Predictions: what a model says of each sample, with the names of samples and targets, as they travel in a file.

The npz holds `ids` (n,) unicode, `values` (n, t) float32 or float64, `targets` (t,) unicode, and `kind`, `split`,
`provenance` (JSON text) and `schema` (1) as scalars. It is read without pickle.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd

from submit.errors import SubmissionError, about, named
from submit.files.atomic import atomic
from submit.files.csv_table import read_table
from submit.files.json_text import parsed_json
from submit.files.zips import read_npz
from submit.precision import as_precise

ValueKind = Literal["regression", "logits", "probabilities"]

SCHEMA = 1
# Splits whose truth is known; of a run that keeps both, weights are learned from the first.
LABELLED = ("out_of_fold", "validation")
_KEYS = ("ids", "values", "targets", "kind", "split", "provenance", "schema")


@dataclass(frozen=True, eq=False)
class Predictions:
    """ids (n,) unicode and targets (t,) unicode, both unique; values (n, t), kept as float32 or, where that would
    change them by more than rounding (`submit.precision`), as float64.

    kind: "regression", or for classification "logits" or "probabilities", whose targets are class names.
    split: the part of the data ("test"). provenance: JSON-able facts about how the values came to be.

    Values that are not finite are allowed here: `submit.check` names them.
    Raises SubmissionError for names that are no strings or repeat, for shapes that do not match, without a target, and
    for logits of a single class.
    """

    ids: np.ndarray
    values: np.ndarray
    targets: np.ndarray
    kind: ValueKind = "regression"
    split: str = "test"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids, targets = names(self.ids, "ids"), names(self.targets, "targets")
        values = np.asarray(self.values)
        if values.dtype.kind not in "fiu":
            raise SubmissionError(f"values: expected numbers, found {values.dtype}.")
        if values.shape != (len(ids), len(targets)):
            raise SubmissionError(
                f"values: expected shape ({len(ids)}, {len(targets)}) for {len(ids)} ids and {len(targets)} targets, "
                f"found {values.shape}."
            )
        if not len(targets):
            raise SubmissionError("targets: expected one or more, found none.")
        if self.kind not in get_args(ValueKind):
            raise SubmissionError(
                f"kind: expected one of {', '.join(get_args(ValueKind))}; found {self.kind!r}."
            )
        if self.kind == "logits" and len(targets) < 2:
            raise SubmissionError(
                f"kind 'logits': expected two classes or more, found {str(targets[0])!r} alone, whose softmax is 1. A "
                "single logit x becomes a probability as 1/(1 + exp(-x)): kind 'probabilities'."
            )
        try:
            json.dumps(dict(self.provenance))
        except (TypeError, ValueError) as error:
            raise SubmissionError(f"provenance cannot be written as JSON: {error}.") from error
        for name, value in {"ids": ids, "values": as_precise(values), "targets": targets}.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, path: str | Path) -> Path:
        """Writes the npz whole or not at all."""
        if Path(path).suffix.lower() != ".npz":
            raise SubmissionError(f"{path}: predictions are saved as .npz; a CSV is written by submit.write.")
        arrays: dict[str, Any] = {
            "ids": self.ids,
            "values": self.values,
            "targets": self.targets,
            "kind": np.array(self.kind),
            "split": np.array(self.split),
            "provenance": np.array(json.dumps(dict(self.provenance))),
            "schema": np.array(SCHEMA),
        }
        with atomic(path) as file:
            np.savez(file, **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "Predictions":
        """Reads an npz, or a CSV whose first column holds the ids and every other one numbers (kind "regression").

        Ids are text: "0001" and "NA" stay what they are. Raises SubmissionError, naming the cells that hold
        no number, or what the npz lacks.
        """
        path = Path(path)
        if path.suffix.lower() not in (".npz", ".csv"):
            raise SubmissionError(f"{path}: {_unreadable(path)}")
        if path.suffix.lower() == ".npz":
            with about(path):
                return cls(**_checked(read_npz(path, _KEYS)))
        table = read_table(path)
        with about(path):
            table.require_numbers()
            return cls(table.ids, table.values, table.columns, split="")


def _unreadable(path: Path) -> str:
    """Why a path without the suffix of a file of predictions is none, and which file of a run directory is."""
    if not path.exists():
        return "there is no such file."
    files = sorted((path / "predictions").glob("*.npz"), key=lambda file: (file.stem != "test", file.name))
    give = f"; it is a folder that holds {', '.join(map(str, files))}: give a file" if files else ""
    return f"expected a .npz or .csv file{give}."


def names(values: Any, what: str) -> np.ndarray:
    """Unique strings as a one-dimensional unicode array; `what` is their word in the message when they are not."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise SubmissionError(f"{what}: expected one dimension, found shape {array.shape}.")
    if array.dtype.kind != "U":
        other = next((item for item in array if not isinstance(item, str)), None)
        if other is not None:
            raise SubmissionError(
                f"{what}: expected strings, found {other!s} ({type(other).__name__}). Read a table with "
                "dtype=str, keep_default_na=False: as numbers, '0001' would become 1."
            )
        array = array.astype(np.str_)
    repeated = pd.Index(array).duplicated()
    if repeated.any():
        again = pd.unique(pd.Series(array[repeated]))
        raise SubmissionError(f"{what}: {len(again)} occur more than once: {named(again, len(again))}.")
    return array


def _checked(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    schema = arrays.pop("schema")
    if schema.shape or schema != SCHEMA:
        raise SubmissionError(
            f"schema: expected {SCHEMA}, found {schema}; was it written by another version?"
        )
    scalars = {key: arrays.pop(key) for key in ("kind", "split", "provenance")}
    for key, value in scalars.items():
        if value.shape or value.dtype.kind != "U":
            raise SubmissionError(f"{key}: expected text, found {value.dtype} of shape {value.shape}.")
    try:
        provenance = parsed_json(str(scalars["provenance"]))
    except (ValueError, RecursionError) as error:
        raise SubmissionError(
            f"provenance: expected JSON, found {str(scalars['provenance'])[:60]!r}."
        ) from error
    if not isinstance(provenance, dict):
        raise SubmissionError(
            f"provenance: expected a JSON object, found {str(scalars['provenance'])[:60]!r}."
        )
    kind = cast(ValueKind, str(scalars["kind"]))
    return {**arrays, "kind": kind, "split": str(scalars["split"]), "provenance": provenance}
