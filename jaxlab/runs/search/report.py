"""What a search says: a line for each trial, and at the end a table, the best settings and what each field is worth."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.table import Table
from rich.text import Text

from jaxlab.core.plots_of_searches import history, importance_bars, parallel_coordinates
from jaxlab.core.words import counted
from jaxlab.experiment.search import Search
from jaxlab.experiment.spaces import Log, label, settable
from jaxlab.runs.search import records
from jaxlab.runs.search.params import distributions, settings
from jaxlab.runs.search.records import Elsewhere, Other, Trial, worth_of
from jaxlab.runs.search.storage import quiet
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory

_ROWS = 20  # of the table
_WIDEST = 10_000
_ENOUGH = 10  # trials for an idea of what each field is worth

_HERE = ContextVar("told_here", default=True)


def line(search: Search, trial: Trial, best: bool) -> str:
    """Of one trial that came to its end."""
    what = f"{search.searched} {trial.score:.4f}" if trial.score is not None else ""
    said = {
        "complete": f"{what} {'*' if best else ' '}",
        "stopped": f"{what}{', ' if what else ''}stopped at epoch {trial.epoch}: {trial.reason}",
        "failed": f"failed: {trial.reason}",
        "running": "goes on",
    }[trial.state]
    return f"trial {trial.number:3d}  {said}  {settings_text(search, trial.params)}"


def settings_text(search: Search, params: Mapping[str, Any]) -> str:
    """Settings in short: numbers to four digits."""
    values = settings(search.space, params)
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if type(value) is float else label(value)


def set_line(search: Search, params: Mapping[str, Any]) -> str:
    """The options that give an experiment these settings, exactly. Parts of an experiment are named after them."""
    values = settings(search.space, params)
    options = [
        f"--set {shlex.quote(f'{name}={label(value)}')}" for name, value in values.items() if settable(value)
    ]
    parts = [f"{name}={label(value)}" for name, value in values.items() if not settable(value)]
    written = [f"(in the config file: {', '.join(parts)})"] if parts else []
    return " ".join([*options, *written])


@contextmanager
def left_to_others() -> Iterator[None]:
    """While this is one worker of several that another process started, which says at the end what came of them."""
    token = _HERE.set(False)
    try:
        yield
    finally:
        _HERE.reset(token)


def show(search: Search, rundir: RunDirectory, elsewhere: Elsewhere, session: Session) -> None:
    """The trials of this directory so far, the best of them and of those elsewhere, and pictures in plots/."""
    if not _HERE.get():
        return
    trials = records.trials_in(rundir.path)
    ranked = records.ranked(search, trials)
    _table(search, trials, ranked, session)
    session.log(_counts(search, trials, elsewhere))
    if elsewhere.ended and elsewhere.ended + elsewhere.unfinished >= search.total and not trials:
        session.log(
            f"nothing was left to train here: {elsewhere.ended} of {counted(search.total, 'trial')} came to their end "
            "in other directories, be they there still or not; for a search of its own give a --run whose last part, "
            "which names the study, is another"
        )
    other = _better_one(search, ranked, elsewhere.best)
    if other is not None:
        session.log(f"best: trial {other.number}, {_other_score(search, other)}, in {other.where}")
        session.log(set_line(search, other.params))
    if not ranked:
        return
    best, worth = ranked[0], importance(search, trials)
    which = "best" if other is None else "best in this directory, which predicts with it"
    session.log(
        f"{which}: trial {best.number}, {search.searched} {best.score:.4f}, in {rundir.path / best.name}"
    )
    session.log(set_line(search, best.params))
    if worth:
        text = ", ".join(f"{name} {share:.0%}" for name, share in worth.items())
        session.log(f"importance of each field for being among the best (PED-ANOVA): {text}")
    pictures(search, rundir, trials, worth)
    run = shlex.quote(str(rundir.path))
    session.log(
        f"next: jaxlab predict {run} --out submission.csv\n      jaxlab report {run} --out report.html"
    )


def _better_one(search: Search, ranked: Sequence[Trial], other: Other | None) -> Other | None:
    """The best of other directories, where none here is as good."""
    if other is None or not ranked:
        return other
    return other if worth_of(search, other.value) > search.score.worth(ranked[0].score or 0.0) else None


def _other_score(search: Search, other: Other) -> str:
    off = " from 1" if search.score.better == "near 1" else ""
    return f"{search.searched} {other.value:.4f}{off}"


def _table(search: Search, trials: Sequence[Trial], ranked: Sequence[Trial], session: Session) -> None:
    """A row a trial; a line each where the terminal is too narrow for the columns."""
    others = [trial for trial in trials if trial not in ranked and trial.state != "running"]
    rows = [*ranked, *others][:_ROWS]
    title = f"{len(rows)} of {len(trials)} trials; all are in trials.csv" if len(rows) < len(trials) else ""
    table = Table("trial", search.searched, *search.space, "", title=title, title_justify="left", box=None)
    for trial in rows:
        values = map(_short, settings(search.space, trial.params).values())
        score = "" if trial.score is None else f"{trial.score:.4f}"
        ended = {"stopped": f"stopped at epoch {trial.epoch}", "failed": "failed"}.get(trial.state, "")
        table.add_row(*map(Text, (str(trial.number), score, *values, ended)))
    console = session.console
    if console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum <= console.width:
        console.print(table)
        return
    for text in [title] * bool(title) + [line(search, trial, trial in ranked[:1]) for trial in rows]:
        session.log(text)


def _counts(search: Search, trials: Sequence[Trial], elsewhere: Elsewhere) -> str:
    of = {state: sum(trial.state == state for trial in trials) for state in ("complete", "stopped", "failed")}
    said = [f"{of['complete']} of {counted(search.total, 'trial')} complete"]
    said += [f"{number} {state}" for state, number in of.items() if number and state != "complete"]
    if elsewhere.ended:
        said.append(f"{elsewhere.ended} ended in other directories")
    if elsewhere.unfinished:
        said.append(
            f"{elsewhere.unfinished} begun and not finished, by others or until the same command goes on with them"
        )
    return ", ".join(said)


def importance(search: Search, trials: Sequence[Trial]) -> dict[str, float]:
    """{field: its share, of 1 together} in being among the best tenth, the largest first; {} of too few trials.

    PED-ANOVA (Watanabe et al. 2023), as Optuna has it, of trials that came to their end.
    """
    import optuna

    finished = records.ranked(search, trials)
    if len(finished) < _ENOUGH or len(search.space) < 2:
        return {}
    try:
        with quiet():
            study = optuna.create_study(direction="maximize")
            for trial in finished:
                value, of = search.score.worth(trial.score or 0.0), distributions(search.space)
                study.add_trial(optuna.create_trial(value=value, params=trial.params, distributions=of))
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    except (ValueError, RuntimeError):  # all scores are the same
        return {}


def pictures(
    search: Search, rundir: RunDirectory, trials: Sequence[Trial], worth: Mapping[str, float]
) -> None:
    """plots/history.png, parallel.png and importance.png."""
    ranked = sorted(records.ranked(search, trials), key=lambda trial: trial.number)
    scores = {trial.number: trial.score or 0.0 for trial in ranked}
    history(scores, search.score.improves, search.score.label, rundir.plot("history"))
    rows = [records.shown(search, trial) for trial in ranked]
    axes = {name: [row[name] for row in rows] for name in search.space}
    logs = {name for name, one in search.space.items() if isinstance(one, Log)}
    worths = [search.score.worth(score) for score in scores.values()]
    parallel_coordinates(axes, logs, list(scores.values()), worths, search.searched, rundir.plot("parallel"))
    if worth:
        importance_bars(worth, rundir.plot("importance"))
