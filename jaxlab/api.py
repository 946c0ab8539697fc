"""What the command line and `import jaxlab` offer: train, load and predict; the experiment's kind decides how."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxlab import fit
from jaxlab.config import override
from jaxlab.data.source import examples
from jaxlab.encode import Ridge
from jaxlab.evaluate.inference import summary
from jaxlab.experiment import Experiment
from jaxlab.ridge_run import RidgeRun, fit_run
from jaxlab.run import Run, Which
from jaxlab.start import recorded
from jaxlab.training import runtime
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.types import UserError
from submit import ensemble, kaggle
from submit.table import read_header


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
        _check_columns(runs[0], sample)
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
        if inferred := predictions.provenance.get("inference"):
            yield f"{run.rundir.path}: {summary(inferred, run.kind)}"
    mean = members[0] if len(members) == 1 else ensemble.mean(members)
    if out.suffix == ".npz":
        mean.save(out)
    else:
        kaggle.write(mean, out, sample)
    yield f"{out}: written" + (
        "" if out.suffix == ".npz" else f", checked against {sample}" if sample else ""
    )


def _check_columns(run: Run | RidgeRun, sample: Path) -> None:
    """The cheap part of the submission's check, before anything is predicted."""
    wanted = read_header(sample)[1:]
    if run.kind == "regression" and set(wanted) != set(run.targets):
        missing = [name for name in wanted if name not in run.targets]
        extra = [name for name in run.targets if name not in wanted]
        raise UserError(
            f"{sample}: its columns are not the targets that {run.rundir.path} predicts: "
            f"{len(missing)} are not predicted ({examples(missing)}), {len(extra)} predicted are not in it "
            f"({examples(extra)})"
        )
