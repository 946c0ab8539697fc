"""Whether a run may be gone on with, and whether its validation samples are new to it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.beside import trusted
from jaxlab.core.config import Component, differences, from_json, identity, load_file
from jaxlab.core.subjects import subject_of, without_subject
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened, examples, same_data
from jaxlab.experiment import Experiment
from jaxlab.experiment.inputs import changed_encoders
from jaxlab.experiment.study import innermost
from jaxlab.objectives import Resolved
from jaxlab.pretext import PRETEXT
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, SubmissionError, kaggle

# Cells of a submission; checking the names of a larger one takes seconds, and is left to `jaxlab predict`.
_CELLS = 2_000_000
_LAID = re.compile(r"(\w+\.)*training\.(parallel|mesh): ")  # fields that say where a run computes
_SETTLED = re.compile(  # fields of an experiment that say what it sees, consists of and learns, and by which samples
    r"(?!images\.memory_budget_gb)(seed|split|images|normalize|channels|augment|balance|mix|model|head|pretext|"
    r"objectives\.\w+\.head|optimizer|finetune)\b"
)


def recorded(rundir: RunDirectory) -> Any:
    """The config that a run was made by.

    Raises UserError where it is of another version or not whole, and where it has parts of the user's own: they are
    defined by running the run's config.py, which is done where the user says so.
    """
    data, config = rundir.config(), rundir.path / "config.py"
    try:
        return _component(rundir, data)
    except UserError as error:
        if not config.is_file():
            raise
        if not trusted():
            raise UserError(
                f"{rundir.path}: {error}. Its config.py may define it, and is a program of whoever made this run: it "
                f"is run only where you say so. Look into {config}, then add --trust-config to the command; in Python, "
                "jaxlab.load(..., trust=True)"
            ) from None
    load_file(config)
    return _component(rundir, data)


def _component(rundir: RunDirectory, data: dict[str, Any]) -> Component:
    """Raises UserError for JSON that is none of a component."""
    file = rundir.path / "config.json"
    try:
        found = from_json(data)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:  # by what is of another shape
        raise UserError(f"{file}: its experiment is of another shape than jaxlab writes ({error})") from None
    if not isinstance(found, Component):
        raise UserError(f"{file}: expected an experiment with its type, found {', '.join(data) or 'nothing'}")
    return found


def _kept(rundir: RunDirectory) -> Any:
    """Its config, by the parts that are defined already: the one that is trained defined its own."""
    try:
        return _component(rundir, rundir.config())
    except UserError as error:
        raise UserError(
            f"{rundir.path} is the run of another config ({error}): give another --run"
        ) from error


def check_settings(run: Path, trained: Component, asked: Component) -> None:
    """Raises UserError where `asked`, the config of a trained network with settings, differs in what training settled.

    By another split, samples that it learned would be scored as new ones; other images are not what it knows; and
    most other fields would be without any effect.
    """
    was, now = innermost(trained), innermost(asked)
    if not isinstance(was, Experiment):
        return
    changes = [line for line in differences(identity(was), identity(now)) if _SETTLED.match(line)]
    if changes:
        raise UserError(
            f"{run}: expected settings of data, inference, limit, images.memory_budget_gb or training.batch_size, as a "
            f"trained run may be given; found what it was trained with changed ({'; '.join(changes)})"
        )


def check_same(
    experiment: Component,
    rundir: RunDirectory,
    info: dict[str, Any],
    allow_change: bool,
    session: Session,
    more: Sequence[str] = (),
) -> None:
    """Raises UserError naming each field that differs from the run's, unless changes are allowed; and for a soup.

    info: what run.json would say now. more: changes that are known already.
    """
    earlier = rundir.info()
    if "soup" in earlier:
        raise UserError(
            f"{rundir.path} is a soup, an average of checkpoints: nothing trains on from it; give another --run"
        )
    made_by, kind = rundir.config()["type"], type(experiment).__name__
    if made_by != kind:
        raise UserError(f"{rundir.path} is the run of {made_by}(...), not of {kind}(...): give another --run")
    kept = _kept(rundir)
    changes = differences(identity(kept), identity(experiment))
    before, now = earlier["data"]["fingerprint"], info["data"]["fingerprint"]
    if not same_data(before, now):
        changes.append(f"the data's fingerprint: {before[:12]} -> {now[:12]}")
    changes += more
    changes += changed_encoders(earlier["task"].get("encoders", []), info["task"]["encoders"])
    laid = [change for change in changes if _LAID.match(change)]  # the update is the same
    changes = [change for change in changes if change not in laid]
    if changes and not allow_change:
        raise UserError(
            f"{rundir.path} was made by a different config: {'; '.join(changes)}. Give another --run, or "
            "--allow-config-change to go on with the new one"
        )
    for change in changes:
        session.log(f"changed: {change}")
    for change in laid:
        session.log(f"changed: {change}: equal up to rounding only")
    used = [getattr(innermost(one), "inference", None) for one in (kept, experiment)]
    if used[0] != used[1] and not allow_change:
        session.log(
            f"{rundir.path} keeps the inference of its own config; `jaxlab predict` and `jaxlab evaluate` take another "
            "(--set inference.tta.shift=3)"
        )
    if earlier["devices"] != info["devices"]:
        session.log(
            f"warning: this run began on {earlier['devices']}, now {info['devices']}: equal up to rounding only"
        )


def unlike_sample(samples: Samples, objective: Resolved, sample: Path) -> list[str]:
    """What the submission's check of ids and targets will say, told by values that pass any check of values."""
    values = objective.placeholder(len(samples))
    stand_in = Predictions(samples.ids, values, np.array(objective.targets), objective.written)
    return kaggle.check(stand_in, sample)


def log_data(opened: Opened, objective: Resolved, session: Session) -> None:
    """Before training: what the source noted, and what would keep predictions from being submitted."""
    for note in opened.notes:
        session.once(note)
    if objective.of == PRETEXT:  # which no challenge asks for
        return
    for name, one in opened.subjects.items():
        own = tuple(without_subject(target) for target in objective.targets if subject_of(target) == name)
        if own:  # else targets are the same for all, as a column is
            _log_unlike(one, replace(objective, targets=own), session)
    _log_unlike(opened, objective, session)


def _log_unlike(opened: Opened, objective: Resolved, session: Session) -> None:
    """What would keep predictions from being submitted."""
    samples, sample = opened.test, opened.sample_submission
    if samples is None or sample is None or len(samples) * len(objective.targets) > _CELLS:
        return
    try:
        faults = unlike_sample(samples, objective, sample)
    except SubmissionError as error:
        faults = [str(error)]
    if faults:
        session.once(
            f"warning: {sample} asks for other predictions than this run will make, and `jaxlab predict --out` will "
            f"refuse to write them: {examples(faults, 3)}"
        )


def check_unseen(rundir: RunDirectory, experiment: Experiment, data: str) -> None:
    """Raises UserError where the run may have learned what `experiment` validates on.

    data: the fingerprint of the data now. Of other data, and by another split, samples are dealt otherwise.
    """
    learned = rundir.info()["data"]["fingerprint"]
    then = {"split": identity(recorded(rundir).split), "data": learned[:12]}
    now = learned if same_data(learned, data) else data
    if changes := differences(then, {"split": identity(experiment.split), "data": now[:12]}):
        raise UserError(
            f"{rundir.path} was trained on other data or another split ({'; '.join(changes)}), so that its validation "
            "samples may be among those that it learned"
        )
