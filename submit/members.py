"""What a member of an ensemble is made of: test predictions, and labelled ones to learn its weight from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from submit.align import align
from submit.errors import SubmissionError
from submit.predictions import Predictions

_LEARNED = ("out_of_fold", "validation")  # of a run directory, the first that is there


@dataclass(frozen=True)
class Member:
    """test: the file to combine. labelled: of the same model, predictions of labelled samples. name: for messages."""

    name: str
    test: Path
    labelled: Path | None


def find_members(paths: Sequence[Path], labelled: Sequence[Path]) -> list[Member]:
    """A member for each path: a file of predictions, or a run directory, which keeps them in predictions/.

    labelled: one for each path that is a file, in their order, or none at all. A directory's are its
    predictions/out_of_fold.npz, else its predictions/validation.npz, where there is one.
    Raises SubmissionError for another number, a directory without predictions/test.npz, and a file that is both.
    """
    files = [path for path in paths if not path.is_dir()]
    if labelled and len(labelled) != len(files):
        raise SubmissionError(
            f"--learn: found {len(labelled)} for {len(files)} members that are files; expected one for each, in "
            "their order (a run directory has its own)."
        )
    rest = iter(labelled)
    members = [_in_run(path) if path.is_dir() else _of_file(path, next(rest, None)) for path in paths]
    tests = {member.test.resolve() for member in members}
    for member in members:
        if member.labelled is not None and member.labelled.resolve() in tests:
            raise SubmissionError(
                f"{member.labelled}: given as a member and to learn from; weights are chosen on validation or "
                "out-of-fold predictions, never on test."
            )
    return members


def _of_file(path: Path, labelled: Path | None) -> Member:
    return Member(str(labelled or path), path, labelled)


def _in_run(path: Path) -> Member:
    folder = path / "predictions"
    if not (folder / "test.npz").is_file():
        raise SubmissionError(f"{path}: expected a run directory with predictions/test.npz; there is none.")
    there = [file for name in _LEARNED if (file := folder / f"{name}.npz").is_file()]
    return Member(str(path), folder / "test.npz", there[0] if there else None)


def load_labelled(members: Sequence[Member]) -> list[Predictions]:
    """Every member's predictions of labelled samples. Raises SubmissionError naming all that have none."""
    without = [member.name for member in members if member.labelled is None]
    if without:
        raise SubmissionError(
            "Nothing to learn weights from, neither --learn nor, of a run directory, predictions/out_of_fold.npz or "
            f"validation.npz: {', '.join(without)}."
        )
    return [Predictions.load(member.labelled) for member in members if member.labelled is not None]


def load_fresh(members: Sequence[Member], labelled: Sequence[Predictions]) -> Iterator[Predictions]:
    """Every member's test predictions, one after another; raises SubmissionError where they are the `labelled` ones."""
    for member, known in zip(members, labelled, strict=True):
        test = Predictions.load(member.test)
        rows = pd.Index(known.ids).get_indexer(pd.Index(test.ids))
        if len(rows) and (rows >= 0).all() and set(test.targets) == set(known.targets):
            again = Predictions(test.ids, known.values[rows], known.targets, known.kind)
            if np.array_equal(align(again, test.ids, test.targets).values, test.values):
                raise SubmissionError(
                    f"{member.test}: these are the predictions that weights were learned from ({member.labelled}); "
                    "expected those of test samples."
                )
        yield test
