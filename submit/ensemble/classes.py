"""Members that know other classes, as runs that keep other answers to questions: each over the classes of all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from submit.ensemble.matching import in_float64, row_slices
from submit.errors import SubmissionError, about
from submit.files.zips import read_npz
from submit.predictions import Predictions


def union(each: Iterable[np.ndarray]) -> np.ndarray:
    """Names in the order in which they first occur."""
    return np.array(list(dict.fromkeys(name for names in each for name in names.tolist())), np.str_)


def over(member: Predictions, classes: np.ndarray) -> Predictions:
    """Its probabilities of all `classes`, 0 of those that it does not know; logits go through a softmax first.

    Raises SubmissionError for a regression.
    """
    if member.kind == "regression":
        raise SubmissionError("expected predictions of classes, found a regression.")
    place = {name: column for column, name in enumerate(classes.tolist())}
    columns = [place[name] for name in member.targets.tolist()]
    values = np.zeros((len(member), len(classes)), np.float32)
    for rows in row_slices(len(member)):
        values[rows, columns] = in_float64(member, rows)
    return replace(member, values=values, targets=classes, kind="probabilities")


def widening(paths: Sequence[Path]) -> tuple[Callable[[Predictions], Predictions], str]:
    """`over` the classes of all files of predictions, of which the names alone are read; and what it does."""
    each = [_classes(path) for path in paths]
    classes = union(each)
    common = set(classes.tolist()).intersection(*(names.tolist() for names in each))
    counts = ", ".join(f"{len(names):,}" for names in each)
    said = (
        f"the members know {counts} classes, of which {len(common):,} are the same: together {len(classes):,}; a class "
        "that a member does not know has probability 0 from it"
    )
    return lambda member: over(member, classes), said


def _classes(path: Path) -> np.ndarray:
    if path.suffix.lower() != ".npz":
        return Predictions.load(path).targets
    with about(path):
        return read_npz(path, ("targets",))["targets"]
