"""What commands that train have in common: the config's experiment, trials, smoke tests, and the run directory."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import prepare, say
from jaxlab.cli.configs import loaded, shown
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


def trainable(config: Path, settings: tuple[str, ...]) -> Any:
    """What is to be trained in CONFIG. First of all the file is looked at."""
    experiment = loaded(config, settings)
    from jaxlab.encode import Ridge
    from jaxlab.experiment import Experiment, Study

    kinds = (Experiment, Ridge, Study)
    if not isinstance(experiment, kinds):
        wanted = " or ".join(f"{kind.__name__}(...)" for kind in kinds)
        raise UserError(f"config {config}: expected experiment = {wanted}, found {type(experiment).__name__}")
    return experiment


def told_of_trial(experiment: Any) -> str | None:
    """The field that should name the data, where none are named; says that it is a trial then."""
    from jaxlab.experiment.trial import unnamed

    root = unnamed(experiment)
    if root is not None:
        say(
            f"trial: no data are named ({root}), so that simulated neurons take their place; made small, for minutes"
        )
    return root


def show_estimate(experiment: Any, smoke: bool = False) -> None:
    """What training, or its smoke test, would take. Raises UserError where nothing is trained step by step."""
    with without_collecting():
        from rich.console import Console

        from jaxlab.experiment import Experiment
        from jaxlab.experiment.study import innermost
        from jaxlab.experiment.trial import simulated, trial
        from jaxlab.report.estimate import table
        from jaxlab.runs.network.estimate import estimate
    prepare()
    root = told_of_trial(experiment)
    if smoke:
        experiment = experiment.smoke() if root is None else simulated(experiment.smoke())
    elif root is not None:
        experiment = trial(experiment, lambda line: say(f"trial: {line}"))
    inner = innermost(experiment)
    if not isinstance(inner, Experiment):
        raise UserError(
            f"--dry-run: expected a network that is trained, found {type(inner).__name__}, which is fitted at once"
        )
    found = estimate(inner, inner.data.open())
    Console().print(table(found, getattr(experiment, "trainings", 1)), highlight=False)


def train_config(
    config: Path,
    experiment: Any,
    run: Path | None,
    *,
    name: str,
    smoke: bool,
    allow_config_change: bool,
    budget: Any,
    profile: int = 0,
    told: bool = True,
) -> Path:
    """Train what was made of CONFIG, and print the run directory, unless another process does (told=False).

    name: of the run directory, unless `run` is given. smoke: two tiny steps in one of their own. Where no data are
    named, it is a trial.
    """
    with without_collecting():
        from jaxlab.experiment.study import innermost
        from jaxlab.experiment.trial import simulated, trial
    prepare()
    root = told_of_trial(experiment)
    if smoke:
        whole, experiment, name = experiment, experiment.smoke(), f"{name}-smoke"
        within = (innermost(one) for one in (whole, experiment))
        before, now = ([getattr(one, part, None) for part in ("model", "data", "encoders")] for one in within)
        if before != now:
            say("smoke: the pretrained weights are not downloaded")
        experiment = simulated(experiment) if root is not None else experiment
    elif root is not None:
        experiment, name = trial(experiment, lambda line: say(f"trial: {line}")), f"{name}-trial"
    with without_collecting():
        from jaxlab.runs import api
        from jaxlab.training import hosts
    if smoke and run is None:  # made anew each time, or a second smoke test would test nothing
        if hosts.current().writes:
            shutil.rmtree(api.default_run(experiment, name), ignore_errors=True)
        hosts.current().meet("the smoke test")
    from jaxlab.core.beside import config_text
    from jaxlab.core.remote.store import url_of

    path = api.train(
        experiment,
        run,
        name=name,
        source=config_text(config),
        allow_config_change=allow_config_change,
        stop_after=budget,
        profile=profile,
    )
    if not (hosts.current().writes and told):
        return path
    click.echo(url_of(run) or path)
    if root is not None:
        posed = getattr(innermost(experiment), "pretext", None) is not None
        _say_what_is_next(config, path, root, posed)
    return path


def resumed(run: Path | None, budget: Any) -> int:
    """The exit code of this command without --auto-resume, started again as often as it takes."""
    from jaxlab.core.remote.paths import local_of
    from jaxlab.runs.again import jaxlab_here, keep_going

    if run is None:
        raise UserError(
            "--auto-resume: expected --run DIRECTORY with it, so that each start goes on with the same run, found none"
        )
    flag = "--auto-resume"
    arguments = [one for one in sys.argv[1:] if one != flag]

    def command() -> list[str]:
        left = ["--stop-after", f"{max(1, int(budget.seconds - budget.used))}s"] if budget is not None else []
        return [*jaxlab_here(), *arguments, *left]

    return keep_going(command, local_of(run), say)


def _say_what_is_next(config: Path, path: Path, root: str, posed: bool) -> None:
    """The commands to type after a trial. posed: of a pretext task."""
    trained, written = shlex.quote(str(path)), shlex.quote(shown(config))
    ends = f"jaxlab predict {trained} --out submission.csv      what a run ends in"
    if posed:
        ends = f"jaxlab report {trained} --out pretext.html      what the network saw, and made of it"
    say(
        "trial: its scores say nothing about your data. Next:\n"
        f"  {ends}\n"
        f"  jaxlab train {written} --set {root}=FOLDER      on your own data, at full size\n"
        "  jaxlab simulate FOLDER      to see what such a folder holds"
    )
