"""What the command line and `import jaxlab` offer: train, load and predict; the experiment's kind decides how."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.encode import Ridge
from jaxlab.evaluate.inference import summary
from jaxlab.experiment import Experiment
from jaxlab.experiment.folds import Folds, overridden
from jaxlab.runs.folds import FoldsRun, train_folds
from jaxlab.runs.network import train as fit
from jaxlab.runs.network.begin import recorded
from jaxlab.runs.network.run import Run, Which
from jaxlab.runs.ridge import RidgeRun, fit_run
from jaxlab.training.budget import Budget
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.session import Session
from submit import Predictions, ensemble, kaggle

AnyRun = Run | RidgeRun | FoldsRun


def train(
    experiment: Experiment | Ridge | Folds,
    run: str | Path | None = None,
    *,
    name: str = "experiment",
    source: str | None = None,
    allow_config_change: bool = False,
    console: Console | None = None,
    stop_after: str | float | Budget | None = None,
) -> Path:
    """Train `experiment`, or fit it in closed form, in the run directory `run`, or go on where it stopped.

    run: default runs/<name>-<short hash of the config>. source: text of the config file, copied into the run.
    stop_after: a time from now on, as 8h30m or in seconds, before which training ends with a checkpoint; the same call
    goes on from there. A ridge regression is fitted in one piece all the same.
    Returns the run directory. Raises UserError for anything wrong with the data, the config or the directory, before a
    step is compiled; KeyboardInterrupt, after a last checkpoint, where SIGINT or SIGTERM came.
    """
    budget = Budget.of(stop_after)
    path = Path(run) if run is not None else fit.default_run(experiment, name)
    given: dict[str, Any] = {"source": source, "allow_config_change": allow_config_change, "console": console}
    if isinstance(experiment, Ridge):
        if budget.limited:
            Session(console).tell("stop-after: does not apply to Ridge, which is fitted in one piece")
        return fit_run(experiment, RunDirectory(path), **given)
    if isinstance(experiment, Folds):
        return train_folds(experiment, RunDirectory(path), **given, budget=budget)
    return fit.train(experiment, path, **given, budget=budget)


def load(path: str | Path, settings: Iterable[str] = ()) -> AnyRun:
    """The run in directory `path`; `settings` are overrides such as `data.root=FOLDER`.

    Raises UserError where `path` is not a run directory or holds no checkpoint.
    """
    rundir = RunDirectory(Path(path))
    experiment = overridden(recorded(rundir), settings)
    if isinstance(experiment, Folds):
        return FoldsRun(rundir, experiment)
    if not saved(rundir.checkpoints):
        raise UserError(
            f"{rundir.path}: no checkpoint yet; `jaxlab train` makes them at the end of each epoch"
        )
    return RidgeRun(rundir, experiment) if isinstance(experiment, Ridge) else Run(rundir, experiment)


def predict_runs(
    paths: Sequence[Path],
    out: Path | None,
    settings: Iterable[str] = (),
    which: Which | None = None,
    split: Any = "test",
) -> Iterator[str]:
    """Predict a split with each run, keep each one's predictions/<split>.npz, and write their mean to `out`, if given.

    The suffix of `out` picks csv or npz. which: by default the best checkpoint, and the last ones of folds.
    Yields a warning for each run whose training is not at its end, and a line on each file once it is written.
    Raises UserError or SubmissionError, before anything is predicted where that can be known.
    """
    if out is not None and out.suffix not in (".csv", ".npz"):
        raise UserError(f"--out {out}: expected a .csv or .npz file")
    runs = [load(path, settings) for path in paths]
    yield from (warning for run in runs for warning in _unfinished(run))
    sample = runs[0].test[1] if split == "test" and out is not None else None
    if sample is not None and out is not None and out.suffix == ".csv":
        _check_names(runs[0], sample)
    for run in runs[1:] if out is not None else ():
        if (run.kind, set(run.targets)) != (runs[0].kind, set(runs[0].targets)):
            raise UserError(
                f"{run.rundir.path} predicts other targets ({examples(run.targets)}) than {runs[0].rundir.path} "
                f"({examples(runs[0].targets)}), so they have no mean"
            )
    members = []
    for run in runs:
        predictions = _kept(run, split, run.usual if which is None else which)
        members.append(predictions)
        file = run.rundir.predictions(split)
        yield f"{file}: {len(predictions.ids)} images x {len(predictions.targets)} targets"
        if inferred := predictions.provenance.get("inference"):
            yield f"{run.rundir.path}: {summary(inferred, run.kind)}"
    if out is None:
        return
    names = [str(run.rundir.path) for run in runs]
    mean = members[0] if len(members) == 1 else ensemble.mean(members, names)
    if out.suffix == ".npz":
        mean.save(out)
    else:
        kaggle.write(mean, out, sample)
    yield f"{out}: written" + (
        "" if out.suffix == ".npz" else f", checked against {sample}" if sample else ""
    )


def _unfinished(run: AnyRun) -> Iterator[str]:
    """A warning for each network whose training was stopped before its end."""
    for one in run.folds if isinstance(run, FoldsRun) else [run]:
        if isinstance(one, Run) and "soup" not in one.info:
            meta, patience = one.checkpoint("last").meta(), one.experiment.training.early_stopping
            early = patience is not None and meta["progress"]["stale"] >= patience
            if meta["step"] < meta.get("steps", 0) and not early:
                yield (
                    f"warning: {one.rundir.path} stopped at step {meta['step']} of {meta['steps']}; the same `jaxlab "
                    "train` goes on from there"
                )


def _check_names(run: AnyRun, sample: Path) -> None:
    """The submission's check of ids and targets before anything is predicted, on values that pass any check."""
    samples = run.test[0]
    if samples is None:
        return
    values = np.full((len(samples), len(run.targets)), 1 / len(run.targets), np.float32)  # they add up to one
    kind: Literal["regression", "logits"] = "regression" if run.kind == "regression" else "logits"
    faults = kaggle.check(Predictions(samples.ids, values, np.array(run.targets), kind), sample)
    if faults:
        listed = "\n".join(f"- {fault}" for fault in faults)
        raise UserError(f"{sample} asks for other predictions than {run.rundir.path} makes:\n{listed}")


def _kept(run: AnyRun, split: Any, which: Which) -> Predictions:
    """A run's predictions of a split, now in its directory; of the test split those of each fold in the fold's, too."""
    if isinstance(run, FoldsRun) and split == "test":
        members = list(run.predict_folds(which))
        for fold, one in zip(run.folds, members, strict=True):
            one.save(fold.rundir.predictions(split))
        predictions = run.averaged(members, which)
    else:
        predictions = run.predict_split(split, which)
    predictions.save(run.rundir.predictions(split))
    return predictions
