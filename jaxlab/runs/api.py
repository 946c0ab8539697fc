"""What the command line and `import jaxlab` offer: train and load; the config's type decides how."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxlab.core.beside import trusting
from jaxlab.core.config import Component, short_hash
from jaxlab.core.lock import locked
from jaxlab.core.remote.paths import fetched, trained
from jaxlab.core.types import UserError
from jaxlab.encode import Ridge
from jaxlab.experiment import Experiment, Study
from jaxlab.experiment.study import innermost
from jaxlab.runs.checks import check_settings, recorded
from jaxlab.runs.joined import check_joined
from jaxlab.runs.kinds import kind_of
from jaxlab.runs.registry.place import place_for
from jaxlab.runs.registry.reports import conclude
from jaxlab.runs.run import Run
from jaxlab.training import hosts
from jaxlab.training.budget import Budget
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory


def train(
    experiment: Experiment | Ridge | Study,
    run: str | Path | None = None,
    *,
    name: str = "experiment",
    source: str | None = None,
    allow_config_change: bool = False,
    console: Console | None = None,
    stop_after: str | float | Budget | None = None,
    profile: int = 0,
) -> Path:
    """Train `experiment`, or fit it in closed form, in the run directory `run`, or go on where it stopped.

    run: default runs/<name>-<short hash of the config>; or a URL such as s3://bucket/run, which is trained in a copy in
    the cache, and sent there at each checkpoint. source: text of the config file, copied into the run.
    stop_after: a time from now on, as 8h30m or in seconds, before which training ends with a checkpoint; the same call
    goes on from there. A ridge regression is fitted in one piece all the same.
    profile: steps of which a profiler's trace is made, in `RUN/profile`, once the network has warmed up; of a study in
    its first run.
    Returns the run directory, of a URL the copy. Raises UserError for anything wrong with the data, the config or the
    directory, or where another process trains in it, before a step is compiled; Interrupted, after a last checkpoint,
    where SIGINT, SIGTERM or SIGHUP came.
    After `jaxlab.join`, several processes call this as one, with the same arguments.
    """
    check_profile(experiment, profile)
    session = Session(console, Budget.of(stop_after), profile=profile)
    given: dict[str, Any] = {"source": source, "allow_config_change": allow_config_change}
    kind = kind_of(experiment)
    kinds = (kind, kind_of(innermost(experiment)))
    place = run if run is not None else default_run(experiment, name)
    check_joined(experiment, kinds, place, source, allow_config_change, session.hosts)
    writes = session.hosts.writes
    with trained(place) as path:
        rundir = RunDirectory(path)
        place_for(path)  # a registry's URL that is none is said before anything is read
        alone = locked(path / "lock", path) if writes and not kind.shared else contextlib.nullcontext()
        try:
            with alone:
                return kind.train(experiment, rundir, **given, session=session)
        except Exception as error:
            raise hosts.explained(error) from error
        finally:
            if writes:
                conclude(path, session.once)


def load(path: str | Path, settings: Iterable[str] = (), *, trust: bool = False) -> Run:
    """The run in directory `path`, or at a URL such as s3://bucket/run, of which the cache has a copy then.

    settings: overrides such as `data.root=FOLDER`; of a trained network those of what training settled are refused.

    trust: run the run's config.py, where its config has parts that only that file defines. It is a program: only for
        runs of your own, or of somebody whose programs you would run.
    Raises UserError where `path` is not a run directory or holds no checkpoint.
    """
    rundir = RunDirectory(fetched(path))
    with trusting(trust):
        kept = recorded(rundir)
        experiment = kept.overridden(settings)
        check_settings(rundir.path, kept, experiment)
        return kind_of(experiment).run.load(rundir, experiment)


def check_profile(experiment: Component, steps: int) -> None:
    """Raises UserError where steps are to be traced and there are none."""
    if steps < 0:
        raise UserError(f"profile: expected 0 steps or more, found {steps}")
    if steps and not isinstance(inner := innermost(experiment), Experiment):
        raise UserError(
            f"--profile: expected a network that is trained, found {type(inner).__name__}, which is fitted at once"
        )


def default_run(experiment: Component, name: str) -> Path:
    """runs/<name>-<short hash of the config>."""
    return Path("runs") / f"{name}-{short_hash(experiment)}"
