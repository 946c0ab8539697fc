"""What `jaxlab predict` does: a split with each of several runs, and their mean as one file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.evaluate.inference import summary
from jaxlab.runs.api import load
from jaxlab.runs.run import Run, Which
from submit import Predictions, ensemble, kaggle


@dataclass(frozen=True)
class Predicted:
    """What was done. files: each run's own predictions, by its directory. mean: of all of them, where it was written.

    out: the file with the mean. sample: the submission's sample that it was checked against.
    """

    files: dict[Path, Path]
    mean: Predictions | None = None
    out: Path | None = None
    sample: Path | None = None


def predict_runs(
    paths: Sequence[Path],
    out: Path | None = None,
    settings: Iterable[str] = (),
    which: Which | None = None,
    split: str = "test",
    log: Callable[[str], None] = lambda line: None,
) -> Predicted:
    """Predict a split with each run, keep it in each one's predictions/, and write their mean to `out`, if given.

    The suffix of `out` picks csv or npz. which: by default the best checkpoint, and the last ones of folds.
    log: is given a warning for each run whose training is not at its end, and a line on each file once it is written.
    Raises UserError or SubmissionError, before anything is predicted where that can be known.
    """
    check_out(out)
    runs = [load(path, settings) for path in paths]
    for run in runs:
        for warning in run.unfinished():
            log(warning)
    sample = runs[0].test[1] if split == "test" and out is not None else None
    if out is not None:
        _check_together(runs, sample if out.suffix == ".csv" else None)
    members, files = [], {}
    for run in runs:
        predictions, file = run.kept_as(split, which)
        members.append(predictions)
        files[run.rundir.path] = file
        log(f"{file}: {len(predictions.ids)} images x {len(predictions.targets)} targets")
        if inferred := predictions.provenance.get("inference"):
            log(f"{run.rundir.path}: {summary(inferred, run.primary)}")
    if out is None:
        return Predicted(files)
    mean = members[0] if len(members) == 1 else ensemble.mean(members, list(map(str, files)))
    against = None
    if out.suffix == ".npz":
        mean.save(out)
    else:
        kaggle.write(mean, out, sample)
        against = sample
    log(f"{out}: written" + (f", checked against {against}" if against else ""))
    return Predicted(files, mean, out, against)


def check_out(out: Path | None) -> None:
    """Raises UserError for a file that is neither csv nor npz."""
    if out is not None and out.suffix not in (".csv", ".npz"):
        raise UserError(f"--out {out}: expected a .csv or .npz file")


def _check_together(runs: Sequence[Run], sample: Path | None) -> None:
    """Raises UserError for runs without a mean, or of other ids or targets than the submission's sample has."""
    first, *others = runs
    if sample is not None:
        _check_names(first, sample)
    for run in others:
        if (run.kind, set(run.targets)) != (first.kind, set(first.targets)):
            raise UserError(
                f"{run.rundir.path} predicts other targets ({examples(run.targets)}) than {first.rundir.path} "
                f"({examples(first.targets)}), so they have no mean"
            )


def _check_names(run: Run, sample: Path) -> None:
    """The submission's check of ids and targets before anything is predicted, on values that pass any check."""
    samples, objective = run.test[0], run.primary
    if samples is None:
        return
    values = objective.placeholder(len(samples))
    stand_in = Predictions(samples.ids, values, np.array(run.targets), objective.written)
    if faults := kaggle.check(stand_in, sample):
        listed = "\n".join(f"- {fault}" for fault in faults)
        raise UserError(f"{sample} asks for other predictions than {run.rundir.path} makes:\n{listed}")
