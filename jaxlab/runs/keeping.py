"""Where a run keeps its predictions, so that none takes another's place.

predictions/SPLIT.npz is of the run's own data, by the checkpoint that it predicts with unless asked for another: what
ensembles read. Whatever else is predicted has a name that says so, as `test-step40-1f2e3d4c.npz` (by that checkpoint)
or `test-data9a8b7c6d-step40-1f2e3d4c.npz` (of other data); and so gets what stood at SPLIT.npz before something else.
Those of another objective than the run's first are at SPLIT-OBJECTIVE.npz, likewise.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxlab.core.lock import in_turn
from jaxlab.core.remote.paths import sent
from jaxlab.core.types import UserError
from jaxlab.runs.checks import recorded
from jaxlab.runs.constant import warn_of_constants
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, SubmissionError

if TYPE_CHECKING:
    from jaxlab.runs.run import Run, Which


class Origin(NamedTuple):
    """own: whether of the run's own data. usual: by the checkpoints that it predicts with unless asked for others."""

    own: bool
    usual: bool


def origin_of(run: "Run", predictions: Predictions, which: "Which | None") -> Origin:
    """What the run's predictions of a split are of, before they are kept. which: as it was asked for."""
    usual = which in (None, run.usual)
    if not usual:
        digests = [member.checkpoint(run.usual).meta()["digest"] for member in run.members]
        usual = _digests(predictions.provenance) == digests
    return Origin(predictions.split != "test" or _is_own(run, predictions), usual)


def kept(run: "Run", split: str) -> Predictions | None:
    """The predictions of a split of the run's own data by the checkpoints that it predicts with, if it has kept them.

    None where there are none, they are damaged, or of other checkpoints. Raises UserError where a checkpoint cannot be
    read.
    """
    name = "-".join(filter(None, (split, run.predicts)))
    predictions = _at(run.rundir.predictions(name))
    if predictions is None or predictions.provenance.get("objective") != run.predicts:
        return None
    digests = [member.checkpoint(run.usual).meta()["digest"] for member in run.members]
    return predictions if _digests(predictions.provenance) == digests else None


def check_writable(rundir: RunDirectory) -> None:
    """Raises UserError, before anything is predicted, for a run that cannot keep it."""
    if not is_writable(rundir):
        raise UserError(
            f"{rundir.path} is read-only, so that it cannot keep its predictions: give --out FILE.npz or FILE.csv for "
            "them; in Python `predict_split` keeps nothing"
        )


def is_writable(rundir: RunDirectory) -> bool:
    """Whether predictions can be kept in it: not in one of somebody else's, nor where Kaggle shows a dataset."""
    folder = rundir.predictions("test").parent
    return os.access(folder if folder.exists() else rundir.path, os.W_OK)


def keep(rundir: RunDirectory, predictions: Predictions, origin: Origin) -> Path:
    """Write them into the run directory; the file. Warns of those that are the same for all images."""
    warn_of_constants(predictions)
    file = rundir.predictions(_split(predictions))
    kept = _written(file, predictions, origin)
    sent(rundir.path)
    return kept


def _written(file: Path, predictions: Predictions, origin: Origin) -> Path:
    if not all(origin):
        return predictions.save(file.with_name(f"{_name(predictions, not origin.own)}.npz"))
    with in_turn(file.with_name("lock"), file):  # another may keep its own of the same run
        if (before := _at(file)) is not None and _differ(before, predictions):
            file.rename(file.with_name(f"{_name(before, _samples(before) != _samples(predictions))}.npz"))
        return predictions.save(file)


def _is_own(run: "Run", predictions: Predictions) -> bool:
    """Whether they are of the samples that the run's own data have to predict.

    Where settings say that the data lie elsewhere, their samples are compared with those of SPLIT.npz, else with the
    data that the run was trained on; where these are gone, the others are taken for them.
    """
    trained: Any = type(run)(run.rundir, recorded(run.rundir))
    with contextlib.suppress(
        UserError
    ):  # a folder of subjects, which is gone, cannot say whose data lie in it
        if trained.source == run.source:
            return True
    before = _at(run.rundir.predictions(_split(predictions)))
    known = None if before is None else _samples(before)
    if known is None:
        try:
            known = trained.test_fingerprint
        except (UserError, OSError):
            return before is None or before.ids.tolist() == predictions.ids.tolist()
    return known == _samples(predictions)


def _at(file: Path) -> Predictions | None:
    """None where there are none, or none that can be read."""
    try:
        return Predictions.load(file) if file.is_file() else None
    except SubmissionError:
        return None


def _differ(one: Predictions, other: Predictions) -> bool:
    """Whether they are of other samples, by other checkpoints or made in another way."""
    return any(of(one) != of(other) for of in (_samples, _made_by, lambda each: each.ids.tolist()))


def _name(predictions: Predictions, other_data: bool) -> str:
    """Split, data where they are not the run's own, step and digest of the checkpoint, and how it was used."""
    parts, samples = [_split(predictions)], _samples(predictions)
    if other_data and samples:
        parts.append(f"data{samples[:8]}")
    steps = {one.get("step") for one in _networks(predictions.provenance)} - {None}
    if len(steps) == 1:
        parts.append(f"step{steps.pop()}")
    digests, inference = _made_by(predictions)
    parts.append(digests[0][:8] if len(digests) == 1 else _short(digests or predictions.values.tolist()))
    if inference:
        parts.append(f"inference{_short(inference)}")
    return "-".join(parts)


def _split(predictions: Predictions) -> str:
    """What was predicted: the split, of another objective than the run's first with its name."""
    return "-".join(filter(None, (predictions.split, predictions.provenance.get("objective"))))


def _short(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _made_by(predictions: Predictions) -> tuple[list[str], Any]:
    """Digests of the checkpoints, and the inference settings where they are not plain."""
    provenance = predictions.provenance
    config = provenance.get("config", {})
    while "experiment" in config:  # of a study, and of a study of studies
        config = config["experiment"]
    inference = config.get("inference") if "inference" in provenance else None
    return _digests(provenance), inference


def _digests(provenance: Mapping[str, Any]) -> list[str]:
    return [one["digest"] for one in _networks(provenance) if "digest" in one]


def _samples(predictions: Predictions) -> str | None:
    """The fingerprint of what was predicted; None in files of earlier versions."""
    return next((one.get("samples") for one in _networks(predictions.provenance)), None)


def _networks(provenance: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The provenance of each network: of folds, of each fold's."""
    if "folds" in provenance:
        return provenance["folds"]
    if "ensemble" in provenance:
        return [part["provenance"] for part in provenance["ensemble"]]
    return [provenance]
