"""What the command line and `import jaxlab` offer: train, load and predict; the experiment's kind decides how."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from jaxlab import fit
from jaxlab.config import override
from jaxlab.data.source import examples
from jaxlab.encode import Ridge
from jaxlab.experiment import Experiment
from jaxlab.ridge_run import RidgeRun, fit_run
from jaxlab.run import Run, Which
from jaxlab.start import recorded
from jaxlab.training import runtime
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.types import UserError
from submit import Predictions, ensemble, kaggle


def train(
    experiment: Experiment | Ridge,
    run: str | Path | None = None,
    *,
    name: str = "experiment",
    source: str | None = None,
    allow_config_change: bool = False,
    console: Console | None = None,
) -> Path:
    """Train `experiment`, or fit it in closed form, in the run directory `run`, or go on where it stopped.

    run: default runs/<name>-<short hash of the config>. source: text of the config file, copied into the run.
    Returns the run directory. Raises UserError for anything wrong with the data, the config or the directory, before a
    step is compiled; KeyboardInterrupt, after a last checkpoint, where SIGINT or SIGTERM ended the run.
    """
    path = Path(run) if run is not None else fit.default_run(experiment, name)
    given: dict[str, Any] = {"source": source, "allow_config_change": allow_config_change, "console": console}
    if isinstance(experiment, Ridge):
        return fit_run(experiment, RunDirectory(path), **given)
    return fit.train(experiment, path, **given)


def load(path: str | Path, settings: Iterable[str] = ()) -> Run | RidgeRun:
    """The run in directory `path`; `settings` are overrides such as `data.root=FOLDER`.

    Raises UserError where `path` is not a run directory or holds no checkpoint.
    """
    runtime.prepare()
    rundir = RunDirectory(Path(path))
    experiment = override(recorded(rundir), settings)
    if not saved(rundir.checkpoints):
        raise UserError(
            f"{rundir.path}: no checkpoint yet; `jaxlab train` makes them at the end of each epoch"
        )
    return RidgeRun(rundir, experiment) if isinstance(experiment, Ridge) else Run(rundir, experiment)


def predict_runs(
    paths: Sequence[Path], out: Path, settings: Iterable[str] = (), which: Which = "best"
) -> Iterator[str]:
    """Predict the test split with each run, keep each one's predictions/test.npz, and write their mean to `out`.

    The suffix of `out` picks csv or npz. Yields a line on each file once it is written.
    Raises UserError or SubmissionError, before anything is predicted where that can be known.
    """
    if out.suffix not in (".csv", ".npz"):
        raise UserError(f"--out {out}: expected a .csv or .npz file")
    runs = [load(path, settings) for path in paths]
    sample = runs[0].test[1]
    if sample is not None and out.suffix == ".csv":
        _check_names(runs[0], sample)
    for run in runs[1:]:
        if (run.kind, set(run.targets)) != (runs[0].kind, set(runs[0].targets)):
            raise UserError(
                f"{run.rundir.path} predicts other targets ({examples(run.targets)}) than {runs[0].rundir.path} "
                f"({examples(runs[0].targets)}), so they have no mean"
            )
    members = []
    for run in runs:
        predictions = run.predict_split("test", which)
        file = run.rundir.predictions("test")
        file.parent.mkdir(exist_ok=True)
        predictions.save(file)
        members.append(predictions)
        yield f"{file}: {len(predictions.ids)} images x {len(predictions.targets)} targets"
    mean = members[0] if len(members) == 1 else ensemble.mean(members)
    if out.suffix == ".npz":
        mean.save(out)
    else:
        kaggle.write(mean, out, sample)
    yield f"{out}: written" + (
        "" if out.suffix == ".npz" else f", checked against {sample}" if sample else ""
    )


def _check_names(run: Run | RidgeRun, sample: Path) -> None:
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
