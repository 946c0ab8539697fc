"""Run directories as records: what a registry is made of, and can always be made of again."""

import contextlib
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlab.core.files import read_json
from jaxlab.core.lock import is_alive
from jaxlab.core.types import UserError
from jaxlab.runs.registry.place import is_run
from jaxlab.runs.registry.records import RunRecord, Scores, SnapshotRecord, State, Status, trained
from jaxlab.training import elsewhere, journal
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.rundir import RunDirectory

_NOT_RUNS = {"checkpoints", "validations", "predictions", "plots", "events", "modules"}
Scanned = tuple[RunRecord, list[int]]  # with the steps of the checkpoints on disk


def run_directories(folder: Path) -> Iterator[Path]:
    """The run directories in `folder`, and those within them; itself, where it is one."""
    if (folder / "config.json").is_file() and is_run(folder):
        yield folder
    try:
        inside = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # another user's
        return
    for entry in inside:
        path = Path(entry.path)
        if entry.name not in _NOT_RUNS and entry.is_dir() and is_run(path):
            yield from run_directories(path)


def all_scanned(runs: Iterable[Path]) -> tuple[list[Scanned], list[str]]:
    """The records of run directories, and what is amiss with those that have none."""
    found, amiss = [], []
    for run in runs:
        try:
            found.append(scanned(run))
        except UserError as error:
            amiss.append(str(error))
        except (ValueError, TypeError, AttributeError, KeyError) as error:  # of another shape
            amiss.append(
                f"{run}: expected a run directory, found another shape ({type(error).__name__}: {error})"
            )
    return found, amiss


def scanned(run: Path, over: bool = False) -> Scanned:
    """A run directory's record. Raises UserError where it is none.

    over: its training is, though the lock that this process has there is not gone yet.
    """
    rundir = RunDirectory(run)
    config, info = rundir.config(), rundir.info()
    checkpoints = saved(rundir.checkpoints)
    last = last_meta(checkpoints)
    scores = _scores(rundir)
    best = elsewhere.best_of(run, checkpoints, last) if last else None
    own = not checkpoints and 0 in scores  # a study: its variants have checkpoints, and it the scores of all
    whole = own or (not checkpoints and (run / "scores.json").is_file())
    if own:
        best = {"step": 0}
    snapshots = tuple(_snapshots(rundir, checkpoints, best, scores, info))
    holder = {} if over else _holder(run)
    record = RunRecord(
        path=run,
        study=run.parent if is_run(run.parent) else None,
        kind=config["type"],
        config=config,
        data=info.get("data", {}).get("fingerprint", ""),
        state=_state(config, last, bool(holder), whole),
        step=last.get("step", 0),
        steps=last.get("steps", 0),
        epoch=last.get("epoch", 0),
        metric=_metric(config, last, best, snapshots),
        best=best["step"] if best else None,
        created=_changed(run / "config.json"),
        beat=max(_changed(rundir.metrics), _changed(run / "config.json")),
        host=str(holder.get("host") or platform.node()),
        pid=holder["pid"] if isinstance(holder.get("pid"), int) else 0,
        snapshots=snapshots,
    )
    return record, [one.step for one in checkpoints] + [0] * own


def last_meta(checkpoints: Sequence[Saved]) -> Mapping[str, Any]:
    """The meta.json of the last that is whole; {} where none is."""
    for checkpoint in reversed(checkpoints):
        with contextlib.suppress(UserError):  # a damaged one, which whoever reads it names
            return checkpoint.meta()
    return {}


def _scores(rundir: RunDirectory) -> dict[int, tuple[int, Scores]]:
    """{step: (epoch, validation scores)}, by whomever they are."""
    return {
        record["step"]: (
            record["epoch"],
            {name: value for name, value in record.items() if name not in ("step", "epoch", "split")},
        )
        for record in journal.read(rundir.metrics, "validation")
    }


def _snapshots(
    rundir: RunDirectory,
    checkpoints: Sequence[Saved],
    best: Mapping[str, Any] | None,
    scores: Mapping[int, tuple[int, Scores]],
    info: Mapping[str, Any],
) -> Iterator[SnapshotRecord]:
    """Of each checkpoint, and of those of which the scores are all that is left."""
    others = elsewhere.kept(rundir.path)
    alone = not info.get("soup", {}).get("validates", True)  # no sample is new to all of it
    for checkpoint in checkpoints:
        try:
            meta = checkpoint.meta()
        except UserError:
            continue
        step, digest = checkpoint.step, meta.get("digest", "")
        epoch, found = scores.get(step, (meta.get("epoch", 0), None))
        if step in others and others[step].digest != digest:
            found = None  # of parameters that were there before
        status: Status = "pending" if found is None and not alone else "validated"
        if best is not None and best["step"] == step and status == "validated":
            status = "best"
        yield SnapshotRecord(step, epoch, status, digest, found or {})
    there = {checkpoint.step for checkpoint in checkpoints}
    for step, (epoch, found) in scores.items():
        if step not in there:
            yield SnapshotRecord(step, epoch, "best" if best == {"step": step} else "deleted", "", found)


def _metric(
    config: Mapping[str, Any],
    last: Mapping[str, Any],
    best: Mapping[str, Any] | None,
    snapshots: Sequence[SnapshotRecord],
) -> str:
    """The score to show: by which the best is chosen, else the first of the usual ones that is there."""
    asked = trained(config).get("training") or {}
    named = (best or {}).get("metric") or last.get(elsewhere.AWAITS) or asked.get("metric")
    names = next((one.scores for one in snapshots if one.scores), {})
    if named and (named in names or not names):
        return str(named)
    return next((name for name in ("pearson", "accuracy", *names) if name in names), "")


def _state(config: Mapping[str, Any], last: Mapping[str, Any], held: bool, whole: bool) -> State:
    if held:
        return "training"
    patience = (config.get("training") or {}).get("early_stopping")
    early = bool(last) and patience is not None and last["progress"].get("stale", 0) >= patience
    done = bool(last) and last.get("step", 0) >= last.get("steps", 0)
    return "finished" if done or early or whole else "stopped"


def _holder(run: Path) -> Mapping[str, Any]:
    """Who has the run's lock; {} where nobody has, as far as can be told."""
    try:
        holder = read_json(run / "lock")
    except UserError:
        return {}
    return holder if is_alive(holder) else {}


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
