"""Whether runs, a submission's sample and the file to write go together, before anything is predicted."""

from collections.abc import Sequence
from pathlib import Path

from jaxlab.core.files import check_place
from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.runs.checks import unlike_sample
from jaxlab.runs.run import Run


def check_out(out: Path | None, suffixes: Sequence[str] = (".csv", ".npz")) -> None:
    """Raises UserError for a file of another kind, or that lies where nothing can be written."""
    if out is None:
        return
    if out.is_dir() or out.suffix not in suffixes:
        raise UserError(f"--out {out}: expected a {' or '.join(suffixes)} file")
    check_place(out, "--out")


def check_id_column(run: Run, out: Path) -> None:
    """Raises UserError where a table without a sample would have two columns `id`."""
    if out.suffix in (".csv", ".parquet") and "id" in run.targets:
        raise UserError(
            f"--out {out}: its first column is called 'id', and so is a target of {run.rundir.path}; give a .npz file, "
            "which keeps ids and targets apart"
        )


def check_together(runs: Sequence[Run], sample: Path | None) -> None:
    """Raises UserError for runs without a mean, or of other ids or targets than the submission's sample has."""
    first, *others = runs
    if sample is not None:
        check_names(first, sample)
    for run in others:
        if (run.kind, set(run.targets)) != (first.kind, set(first.targets)):
            raise UserError(
                f"{run.rundir.path} predicts other targets ({examples(run.targets)}) than {first.rundir.path} "
                f"({examples(first.targets)}), so they have no mean"
            )


def asks_for_another(run: Run, sample: Path) -> bool:
    """Whether the submission's sample is not of the objective that is predicted in place of the run's first."""
    samples = run.test[0]
    return (
        run.predicts is not None and samples is not None and bool(unlike_sample(samples, run.primary, sample))
    )


def check_names(run: Run, sample: Path) -> None:
    """The submission's check of ids and targets before anything is predicted, on values that pass any check."""
    if run.test[0] is None:
        return
    if faults := unlike_sample(run.test[0], run.primary, sample):
        listed = "\n".join(f"- {fault}" for fault in faults)
        raise UserError(f"{sample} asks for other predictions than {run.rundir.path} makes:\n{listed}")
