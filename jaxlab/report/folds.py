"""The folds of a run, for `jaxlab inspect`."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from jaxlab.core.types import UserError
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory

_MOST = 10_000


def folds_of(run: RunDirectory, count: int) -> dict[str, Any]:
    """{"folds": [{"path", "step", "metrics"} of each one's last checkpoint], "out_of_fold": scores}.

    A step is None where there is no checkpoint yet, and scores are empty where there are none.
    Raises UserError for a count that is none.
    """
    if type(count) is not int or not 0 < count <= _MOST:
        raise UserError(f"{run.path / 'config.json'}: folds: expected 2 to {_MOST:,}, found {count!r:.60}")
    entries = []
    for number in range(count):
        fold = RunDirectory(run.path / f"fold{number}")
        checkpoints = saved(fold.checkpoints)
        step = checkpoints[-1].step if checkpoints else None
        scores = journal.validations(fold.metrics)
        entries.append(
            {"path": str(fold.path), "step": step, "metrics": scores.get(step, {}) if step else {}}
        )
    return {"folds": entries, "out_of_fold": journal.validations(run.metrics).get(0, {})}


def folds_table(report: dict[str, Any]) -> Table:
    """A line for each fold with its validation scores, and one with those out of fold."""
    lines = [(f"fold{k}", entry["step"], entry["metrics"]) for k, entry in enumerate(report["folds"])]
    lines.append(("out of fold", None, report["out_of_fold"]))
    names = [name for name in dict.fromkeys(n for _, _, scores in lines for n in scores) if name != "loss"][
        :4
    ]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("fold")
    for name in ("step", *(name.replace("_", " ") for name in names)):
        table.add_column(Text(name), justify="right")
    for title, step, scores in lines:
        cells = ("-" if scores.get(name) is None else f"{scores[name]:.4g}" for name in names)
        table.add_row(title, "" if step is None else f"{step:,}", *cells)
    return table
