"""Data that a run was not trained on: their targets and classes by name, never by place, and scores of all samples."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlab.core.blocks import BlockDiagonal, of_columns
from jaxlab.core.types import UserError
from jaxlab.data.source import Opened, examples
from jaxlab.evaluate.scores import scores_of, scores_of_blocks
from jaxlab.objectives import Labelled, Resolved
from jaxlab.objectives.resolved import ACTIVITY
from jaxlab.pretext import PRETEXT
from jaxlab.training.checkpoint import saved
from submit.near_names import difference

if TYPE_CHECKING:
    from jaxlab.runs.run import NamedScores, Run, Which


def matched(opened: Opened, objectives: Sequence[Resolved], run: Path) -> Opened:
    """`opened` with the targets of its labelled samples, and their classes, as the run's objectives have them.

    Further targets are left out. Raises UserError for data that lack some, and for samples of classes that the run
    does not know: numbers of others would stand for them.
    """
    for one in objectives:
        if one.teacher is not None:
            continue
        if one.of == ACTIVITY:
            opened = _with_targets(opened, one.targets, run)
        elif one.of == "label":
            opened = _with_classes(opened, one.targets, run)
    return opened


def _with_targets(opened: Opened, targets: tuple[str, ...], run: Path) -> Opened:
    target = opened.train.target
    if target is None or opened.kind != "regression":
        raise UserError(f"{run} predicts numbers ({examples(targets)}), and the data have none, but classes")
    if opened.targets == targets:
        return opened
    place = {name: column for column, name in enumerate(opened.targets)}
    if missing := [name for name in targets if name not in place]:
        near = difference(missing, opened.targets)
        raise UserError(
            f"{run} predicts {len(targets)} targets, of which the data lack {len(missing)} ({examples(missing)}); they "
            f"have {examples(opened.targets)}{f'; {near}' if near else ''}"
        )
    order = np.array([place[name] for name in targets])
    return replace(
        opened,
        train=replace(opened.train, target=of_columns(target, order)),
        targets=targets,
        ceiling=None if opened.ceiling is None else opened.ceiling[order],
        rois={name: mask[order] for name, mask in opened.rois.items()},
    )


def _with_classes(opened: Opened, classes: tuple[str, ...], run: Path) -> Opened:
    label, found = opened.train.label, opened.class_names
    if label is None:
        raise UserError(f"{run} predicts classes ({examples(classes)}), and the data have none, but numbers")
    if found == classes:
        return opened
    used = [found[number] for number in np.unique(label[label >= 0]).tolist()]
    if unknown := [name for name in used if name not in classes]:
        near = difference(unknown, classes)
        raise UserError(
            f"{run} knows {len(classes)} classes ({examples(classes)}), and the data have samples of "
            f"{len(unknown)} others ({examples(unknown)}){f'; {near}' if near else ''}; leave these out"
        )
    number = {name: place for place, name in enumerate(classes)}
    numbers = np.array([*(number.get(name, -1) for name in found), -1], label.dtype)  # -1 stays what it is
    train = replace(opened.train, label=numbers[label])
    if opened.kind == "classification":
        return replace(opened, train=train, targets=classes)
    return replace(opened, train=train, classes=classes)


def evaluated(run: "Run", which: Any) -> "dict[Any, dict[str, NamedScores]]":
    """{step, of a study "all": {"all": scores of all labelled samples}}. which: as for `Run.evaluate_checkpoints`."""
    if which != "all":
        return {_name(run, which): {"all": _scores(run, which)}}
    if not (steps := [checkpoint.step for checkpoint in saved(run.rundir.checkpoints)]):
        return run.evaluate_checkpoints(which)  # a study, which has none of its own, says so
    return {step: {"all": _scores(run, step)} for step in steps}


def labelled(run: "Run", which: "Which | None") -> Labelled:
    """All labelled samples, as the run predicts them."""
    train = run.opened.train
    return Labelled("all", np.arange(len(train)), run.predicted(train, which))


def _name(run: "Run", which: "Which | None") -> str | int:
    alone = list(run.members) == [run]
    return run.checkpoint(run.usual if which is None else which).step if alone else "all"


def _scores(run: "Run", which: "Which | None") -> "NamedScores":
    if run.primary.of == PRETEXT:  # of whose truth the data know nothing
        scores: NamedScores = run.network.scores_of_all(which)
        return scores
    found: NamedScores = {}
    for one in run.objectives:
        truth = None if one.teacher is not None else one.truth(run.opened.train)
        if truth is None:  # what another network said of the run's own samples
            continue
        first = one.name == run.primary.name
        asked = run if first else run.predicting(one.name)
        if isinstance(truth, BlockDiagonal):
            scores = scores_of_blocks(_by_subject(asked, which), one.ceiling(run.opened))
        else:
            values = asked.predicted(run.opened.train, which)
            scores = scores_of(values, one.scored(truth), one.ceiling(run.opened), one.answer_types)
        if first:
            found |= scores
        if len(run.objectives) > 1:
            found |= {f"{one.name}/{name}": score for name, score in scores.items()}
    return found


def _by_subject(run: "Run", which: "Which | None") -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Predictions and truth of each subject's own samples and targets."""
    for name in run.subjects:
        one = run.subject(name)
        samples = one.opened.train
        yield one.predicted(samples, which), np.asarray(one.primary.truth(samples))
