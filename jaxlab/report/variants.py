"""The variants of a study, for `jaxlab inspect`: as they lie there, without what trained them."""

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from jaxlab.core.files import read_json
from jaxlab.core.types import UserError
from jaxlab.report.layers import natural
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory

_SCORES = 4  # columns that 80 characters have room for


def is_study(config: dict[str, Any] | None) -> bool:
    """Whether it is the JSON of a plan of several trainings."""
    return isinstance((config or {}).get("experiment"), dict)


def variants_of(run: RunDirectory) -> dict[str, Any]:
    """{"variants": [{"name", "path", "step", "metrics"} of each], "summary": what scores.json sums up}.

    A step is None where there is no checkpoint yet, and of a study within; scores are then its own, or means.
    """
    return {"variants": [_entry(folder) for folder in folders(run.path)], "summary": _summary(run.path)}


def folders(path: Path) -> list[Path]:
    """Those within that hold a run, in the order that people count in: fold10 comes after fold9."""
    found = [one for one in path.iterdir() if RunDirectory(one).exists()]
    return sorted(found, key=lambda one: natural((one.name,)))


def _entry(folder: Path) -> dict[str, Any]:
    run = RunDirectory(folder)
    checkpoints = saved(run.checkpoints)
    step = checkpoints[-1].step if checkpoints else None
    scores = journal.validations(run.metrics).get(step or 0, {})
    if step is None and not scores:  # of a study of seeds their means
        scores = {str(one.get("score")): one.get("mean") for one in _new_to_it(_summary(folder))}
    return {"name": folder.name, "path": str(folder), "step": step, "metrics": scores}


def _summary(path: Path) -> list[dict[str, Any]]:
    try:
        found = read_json(path / "scores.json").get("summary")
    except UserError:
        return []
    return found if isinstance(found, list) else []


def _new_to_it(summary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the last checkpoints, on samples that they did not learn; of all classes together."""
    return [
        one
        for one in summary
        if (one.get("checkpoint"), one.get("class")) == ("last", "")
        and one.get("split") in ("validation", "out_of_fold")
    ]


def variants_table(report: dict[str, Any]) -> Table:
    """A line for each variant with its scores, of the last checkpoint; then mean and sd where they are known."""
    entries = report["variants"]
    names = [name for name in dict.fromkeys(n for one in entries for n in one["metrics"]) if name != "loss"]
    lines = [(one["name"], one["step"], one["metrics"]) for one in entries]
    means = _new_to_it(report["summary"])
    for part in ("mean", "sd"):
        if means:
            lines.append((part, None, {one.get("score"): one.get(part) for one in means}))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("variant")
    for name in ("step", *(name.replace("_", " ") for name in names[:_SCORES])):
        table.add_column(Text(name), justify="right")
    for title, step, scores in lines:
        cells = ("-" if scores.get(name) is None else f"{scores[name]:.4g}" for name in names[:_SCORES])
        table.add_row(Text(title), "" if step is None else f"{step:,}", *cells)
    return table
