"""A search whose workers another engine starts: what they are called with, and what is said when they have ended."""

import sys
from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import say
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError

_OURS = (
    "--on",
    "--workers",
    "--run",
    "--stop-after",
)  # options of this command that its workers are not given


def refuse_store(option: str, run: Path | None) -> None:
    """Raises UserError for a run directory in a bucket, which one process at a time trains."""
    from jaxlab.core.passwords import without_passwords
    from jaxlab.core.remote.store import url_of

    if (url := url_of(run)) is not None:
        raise UserError(
            f"{option}: expected --run DIRECTORY on a disk that all workers see, found {without_passwords(url)}: a run "
            "in a bucket is one process's at a time; copy the study there when it is done"
        )


def workers_train(search: Any, run: Path | None, name: str, workers: int | None, budget: Any) -> None:
    """Have Ray train the trials of `search`, then show what came of them. name: of the run, unless `run` is given."""
    with without_collecting():
        from jaxlab.runs import api
        from jaxlab.runs.search.on_ray import run_on_ray
        from jaxlab.training.display import Session
    session, path = Session(budget=budget), run if run is not None else api.default_run(search, name)
    arguments = [*for_workers(sys.argv[1:]), "--run", str(path), "--worker"]
    left = budget.seconds - budget.used if budget is not None else None
    all_ended = run_on_ray(arguments, workers, left, session)
    _show(search, path, session)
    click.echo(path)
    if not all_ended:
        raise UserError(f"{path}: a worker ended by an error; the same command goes on with what is left")


def for_workers(arguments: list[str]) -> list[str]:
    """The command line of this command without the options that say who trains, where and how long."""
    kept, rest = [], iter(arguments)
    for one in rest:
        if one in _OURS:
            next(rest, None)
        elif not one.startswith(tuple(f"{name}=" for name in _OURS)):
            kept.append(one)
    return kept


def _show(search: Any, path: Path, session: Any) -> None:
    from jaxlab.runs.search import report
    from jaxlab.runs.search.ledger import Ledger
    from jaxlab.training.rundir import RunDirectory

    rundir = RunDirectory(path)
    if not rundir.exists():
        say(f"{path} is on the workers' machines, not on this one")
        return
    report.show(search, rundir, Ledger(search, rundir).elsewhere(), session)
