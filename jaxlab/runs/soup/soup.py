"""Model soups: the parameters of several checkpoints averaged into a run of its own."""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import numpy as np
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jaxlab.core.beside import config_text, trusting
from jaxlab.core.config import anchored, differences, identity, to_json
from jaxlab.core.folders import made_whole
from jaxlab.core.progress import tracked
from jaxlab.core.terminal import stderr_console
from jaxlab.core.tree import Flat
from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.heads import coordinates
from jaxlab.runs.api import load
from jaxlab.runs.checks import check_unseen, recorded
from jaxlab.runs.network.run import NetworkRun
from jaxlab.runs.run import NamedScores
from jaxlab.runs.soup.average import ParameterAverage, greedily
from jaxlab.runs.soup.members import SoupMember, check_alike, members_of, unshared
from jaxlab.training.checkpoint import Checkpoints, newest_good
from jaxlab.training.journal import Journal
from jaxlab.training.plan import Progress, undefined, validation_score
from jaxlab.training.rundir import RunDirectory, provenance
from jaxlab.training.state import norms
from submit.files.urls import refuse_url

T = TypeVar("T")


def soup(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    greedy: bool = False,
    checkpoint: Literal["best", "last"] | None = None,
    checkpoints: str | None = None,
    settings: Iterable[str] = (),
    console: Console | None = None,
    trust: bool = False,
) -> Path:
    """Average the parameters of checkpoints of `runs` in a new run directory `out`, which is returned.

    Of several runs, one `checkpoint` each, the best by default (a model soup, Wortsman et al. 2022); of one run, its
    kept `checkpoints`, "all" or "last:N" (Izmailov et al. 2018). greedy: members are added in the order of their
    validation scores, each only where the soup's does not fall; otherwise all are taken. Where the run's metric is
    undefined, their losses are compared.
    settings: where the data lie now, such as `data.root=FOLDER`. trust: as `jaxlab.load` has it.

    Parameters are those that prediction uses: the moving average where a run keeps one. Batch-norm statistics that
    differ between members are measured anew on the first one's training images. The targets' means and scales, which
    differ a little between folds, are averaged as well.
    Raises UserError where a run is not a trained network, checkpoints are damaged or fewer than two, networks, targets
    or inputs differ, or no validation image is sure to be new to all members of a greedy soup.
    """
    console = console or stderr_console()
    rundir = RunDirectory(Path(out))
    _check_out(rundir)
    with trusting(trust):
        opened = [_network(Path(path), tuple(settings)) for path in runs]
    members = members_of(opened, checkpoint, checkpoints)
    check_alike(members)
    first = opened[0]
    shared = _validates(opened, greedy, console)
    check_unseen(first.rundir, first.experiment, first.experiment.fingerprint(first.opened))
    metric = first.recipe.metric if shared else None
    frozen_norms, validations = _survey(first, members, metric, console)
    metric, scores = _deciding(metric, validations, console)
    average, taken = _average(first, members, frozen_norms, metric, scores if greedy else None, console)
    listed = [
        {**member.record(), "score": scores.get(member.name), "taken": member in taken} for member in members
    ]
    about = {"greedy": greedy, "metric": metric, "validates": shared, "members": listed}
    with made_whole(rundir.path) as partial:
        _write(RunDirectory(partial), average, about)
    _report(average, about, console)
    return rundir.path


def _network(path: Path, settings: tuple[str, ...]) -> NetworkRun:
    try:
        run: NetworkRun = load(path, settings).network
    except UserError as error:
        raise UserError(f"soup: {error}") from None
    if changes := differences(identity(recorded(run.rundir)), identity(run.experiment)):
        raise UserError(
            f"soup: settings may say where data lie and change nothing else: {'; '.join(changes)}"
        )
    return run


def _validates(runs: Sequence[NetworkRun], greedy: bool, console: Console) -> bool:
    """Whether validation scores of their soup are honest. Raises UserError where they are not, but needed."""
    problems = unshared(runs)
    reason = f"no validation image is sure to be new to all members: {'; '.join(problems)}"
    if problems and greedy:
        raise UserError(f"soup: a greedy one is chosen on validation images, but {reason}")
    if problems:
        console.print(f"no validation score: {reason}", highlight=False, markup=False, soft_wrap=True)
    return not problems


def _survey(
    run: NetworkRun, members: Sequence[SoupMember], metric: str | None, console: Console
) -> tuple[frozenset[str], dict[str, NamedScores]]:
    """The batch norms whose statistics are the same in all members; and each member's validation by its name."""
    first: Flat = {}
    differing: set[str] = set()
    scores = {}
    for member in _shown(members, "members", console):
        variables = member.variables()
        first = first or variables.stats
        coordinates.check_same(
            first, variables.stats, f"soup: {member.name} and the first member are averaged"
        )
        differing |= {path for path, leaf in first.items() if not np.array_equal(leaf, variables.stats[path])}
        if metric is not None:
            scores[member.name] = run.score(run.put(variables), "validation")
    return norms(first) - norms(differing), scores


def _deciding(
    metric: str | None, validations: Mapping[str, NamedScores], console: Console
) -> tuple[str | None, dict[str, float]]:
    """The score that members are compared by, and theirs: the loss where the metric is undefined of one."""
    if metric is None:
        return None, {}
    if without := [name for name, scores in validations.items() if undefined(metric, scores)]:
        console.print(
            f"warning: {metric} is undefined on the validation samples for {examples(without)} (a single one, or "
            "targets or predictions that are constant there); members are compared by their loss",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        metric = "loss"
    return metric, {name: scores[metric] for name, scores in validations.items()}


def _average(
    run: NetworkRun,
    members: Sequence[SoupMember],
    frozen_norms: frozenset[str],
    metric: str | None,
    ranked_by: dict[str, float] | None,
    console: Console,
) -> tuple[ParameterAverage, Sequence[SoupMember]]:
    """The soup and what is in it: all, or the greedy choice where members have scores to rank them by."""
    start = partial(ParameterAverage.of, run, frozen_norms)
    if ranked_by is None or metric is None:
        steps = iter(_shown(members, "averaging", console))
        return reduce(ParameterAverage.add, steps, start(next(steps))), members
    worth = validation_score(metric).worth
    ranked = sorted(members, key=lambda member: worth(ranked_by[member.name]), reverse=True)

    def score(average: ParameterAverage) -> float:
        return worth(average.scores[metric])

    return greedily(_shown(ranked, "greedy", console), start, ParameterAverage.add, score)


def _shown(items: Sequence[T], what: str, console: Console) -> Iterable[T]:
    return tracked(items, what, len(items), console)


def _check_out(rundir: RunDirectory) -> None:
    """Raises UserError where something lies there already, but what a soup left: half of one, or a damaged one.

    SubmissionError for a URL.
    """
    refuse_url(rundir.path)
    if not os.path.lexists(rundir.path):
        return
    if rundir.exists():
        ours = "soup" in rundir.info() and newest_good(rundir.checkpoints, lambda line: None) is None
    else:
        ours = rundir.path.is_dir() and {path.name for path in rundir.path.iterdir()} <= _BEFORE_CONFIG
    if not ours:
        raise UserError(f"soup: {rundir.path} exists already; give the name of a new run directory")


# What version 0.1 wrote before config.json, and left when it was killed; and what now lies beside it.
_BEFORE_CONFIG = {
    "copies.json",
    "checkpoints",
    "metrics.jsonl",
    "events",
    "config.py",
    "run.json",
    "run.json.partial",
}


def _write(rundir: RunDirectory, average: ParameterAverage, about: dict[str, Any]) -> None:
    """A run like any other, at step 0; config.json, which makes it one, comes last."""
    first, host, progress = average.run, jax.device_get(average.variables), Progress()
    if about["validates"]:
        progress.update(about["metric"], average.scores, step=0, epoch=0)
    arrays = {"params": host.params, "ema": {}, "stats": host.stats, "constants": host.constants}
    checkpoints = Checkpoints(rundir.checkpoints)
    checkpoints.save(arrays, {"step": 0, "epoch": 0, "progress": progress.to_json()})
    checkpoints.close()
    record = Journal(rundir.path, -1)
    if about["validates"]:
        record.write(0, 0, "validation", average.scores)
    record.close()
    source = first.rundir.path / "config.py"
    text = config_text(source) if source.is_file() else None
    rundir.create(to_json(anchored(first.experiment)), text, {**first.info, **provenance(), "soup": about})


def _report(average: ParameterAverage, about: dict[str, Any], console: Console) -> None:
    """The members with their scores, which were taken, and the soup's score beside the best member's."""
    metric, members = about["metric"], about["members"]
    cells: dict[str, list[Any]] = {
        "run": [Text(member["run"]) for member in members],
        "step": [f"{member['step']:,}" for member in members],
    }
    if metric:
        cells[metric.replace("_", " ")] = [f"{member['score']:.4f}" for member in members]
    if about["greedy"]:
        cells["taken"] = ["yes" if member["taken"] else "" for member in members]
    table = Table(*(Column(Text(name)) for name in cells), box=None)
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    console.print(table)
    line = f"soup of {average.count}"
    if metric:
        best = max((member["score"] for member in members), key=validation_score(metric).worth)
        line += f": validation {metric} {average.scores[metric]:.4f}, the best member's {best:.4f}"
    if average.measured:
        line += f"; {len(average.measured)} batch norms measured anew"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
