"""What a member of an ensemble is made of: test predictions, and labelled ones to learn its weight from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit.alignment import align
from submit.blocks import by_block
from submit.ensemble.origins import origins
from submit.errors import SubmissionError
from submit.predictions import LABELLED, Predictions
from submit.provenance.explanation import flat_settings
from submit.provenance.record import read, sidecar

_TARGETS = 1_000  # or up to twice as many, evenly spaced, give the median over all of them
_UNLIKE = 20  # times: predictions of one thing, if poor ones and good ones, do not differ so much in spread


@dataclass(frozen=True)
class MemberFiles:
    """test: the file to combine. labelled: of the same model, predictions of labelled samples. name: for messages."""

    name: str
    test: Path
    labelled: Path | None


def find_members(paths: Sequence[Path], labelled: Sequence[Path]) -> list[MemberFiles]:
    """A member for each path: a file of predictions, or a run directory, which keeps them in predictions/.

    Of a run of several subjects it is one subject's folder in there.

    labelled: one for each path that is a file, in their order, or none at all. A directory's are its
    predictions/out_of_fold.npz, else its predictions/validation.npz, where there is one.
    Raises SubmissionError for paths that do not exist, another number, a directory without predictions/test.npz, and a
    file that is both.
    """
    if absent := [path for path in paths if not path.exists()]:
        raise SubmissionError(
            "\n".join(f"{path}: there is no such file or run directory." for path in absent)
        )
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


def _of_file(path: Path, labelled: Path | None) -> MemberFiles:
    return MemberFiles(str(labelled or path), path, labelled)


def _in_run(path: Path) -> MemberFiles:
    kept = path / "predictions"
    folder = path if (path / "test.npz").is_file() else kept
    if not (folder / "test.npz").is_file():
        subjects = sorted(file.parent for file in kept.glob("*/test.npz"))
        raise SubmissionError(
            f"{path}: a run of several subjects; expected the folder of one, as {subjects[0]}."
            if subjects
            else f"{path}: expected a run directory with predictions/test.npz; there is none. Of a trained run, "
            f"`jaxlab predict {path}` makes it."
        )
    there = [file for name in LABELLED if (file := folder / f"{name}.npz").is_file()]
    return MemberFiles(str(path), folder / "test.npz", there[0] if there else None)


def load_test(path: Path) -> Predictions:
    """Predictions of test samples with their provenance: of a CSV, that of its sidecar; where none is known, its name.

    A sidecar counts where it is of this very file.
    """
    predictions = Predictions.load(path)
    provenance = dict(predictions.provenance) or _beside(path) or {"file": str(path)}
    return replace(predictions, provenance=provenance)


def _beside(path: Path) -> dict[str, Any]:
    if not sidecar(path).is_file():
        return {}
    try:
        kept = read(path)
    except SubmissionError:  # damaged, or of another version
        return {}
    return {} if kept.faults else dict(kept.record["provenance"])


def load_labelled(members: Sequence[MemberFiles]) -> list[Predictions]:
    """Every member's predictions of labelled samples. Raises SubmissionError naming all that have none."""
    without = [member.name for member in members if member.labelled is None]
    if without:
        raise SubmissionError(
            "Nothing to learn weights from, neither --learn nor, of a run directory, predictions/out_of_fold.npz or "
            f"validation.npz: {', '.join(without)}. `jaxlab predict RUN --split validation` makes the latter, and "
            "`jaxlab train --folds` the former."
        )
    return [Predictions.load(member.labelled) for member in members if member.labelled is not None]


def load_fresh(members: Sequence[MemberFiles], labelled: Sequence[Predictions]) -> Iterator[Predictions]:
    """Every member's test predictions, one after another.

    Raises SubmissionError where they are the `labelled` ones, or of the run that another member's labelled ones are of.
    """
    runs = [known.provenance.get("run") for known in labelled]
    for member, known, run in zip(members, labelled, runs, strict=True):
        test = load_test(member.test)
        own = test.provenance.get("run")
        if own is not None and own != run and own in runs:
            other = members[runs.index(own)]
            raise SubmissionError(
                f"{member.test}: these are of the run {own!r}, from which weights were learned as of another member "
                f"({other.labelled}); expected --learn in the members' order."
            )
        rows = pd.Index(known.ids).get_indexer(pd.Index(test.ids))
        if len(rows) and (rows >= 0).all() and set(test.targets) == set(known.targets):
            again = Predictions(test.ids, known.values[rows], known.targets, known.kind)
            if np.array_equal(align(again, test.ids, test.targets).values, test.values):
                raise SubmissionError(
                    f"{member.test}: these are the predictions that weights were learned from ({member.labelled}); "
                    "expected those of test samples."
                )
        yield test


def unlike_inference(member: MemberFiles, known: Predictions, test: Predictions) -> list[str]:
    """A sentence where a member's predictions that weights are learned from were made with other views or refinement.

    Empty where either does not record how it was made.
    """
    learned, combined = (_inference(one.provenance) for one in (known, test))
    if not learned or not combined:
        return []
    names = [name for name in dict.fromkeys([*learned, *combined]) if learned.get(name) != combined.get(name)]
    found = [f"{name} {learned.get(name, '-')} / {combined.get(name, '-')}" for name in names]
    return found and [
        f"{member.name}: weights are learned from predictions of other inference settings than those that are "
        f"combined: {', '.join(found)} ({member.labelled} / {member.test})."
    ]


def _inference(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The settings as `tta.shift`, of combined predictions those of all members; empty where none are recorded."""
    if own := _recorded_inference(provenance):
        return own
    each = [_recorded_inference(one) for one in origins(provenance)]
    names = dict.fromkeys(name for one in each for name in one) if all(each) else ()
    return {name: " and ".join(dict.fromkeys(one.get(name, "-") for one in each)) for name in names}


def _recorded_inference(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Of one run; a run of folds has them with its experiment."""
    config = provenance.get("config")
    for within in (config, config.get("experiment") if isinstance(config, Mapping) else None):
        if isinstance(within, Mapping) and isinstance(within.get("inference"), Mapping):
            return flat_settings(within["inference"])
    return {}


def variation(predictions: Predictions) -> float:
    """The standard deviation over samples, the median over targets; NaN of classes, whose scores have no units."""
    if predictions.kind != "regression" or not predictions.values.size:
        return np.nan
    some = predictions.values[:, :: max(1, len(predictions.targets) // _TARGETS)]
    return float(np.median(by_block(lambda values: values.std(0), some)))


def unlike_scales(names: Sequence[str], varies: Sequence[float]) -> list[str]:
    """Sentences on the members whose `variation` is so small beside the largest that their units must differ."""
    most = int(np.argmax(np.nan_to_num(varies)))
    return [
        f"{name} varies {own / varies[most]:.2g} times as much as {names[most]} and counts as little in a mean; are "
        "they in the same units? --method rank asks for order alone."
        for name, own in zip(names, varies, strict=True)
        if 0 < own * _UNLIKE < varies[most]
    ]
