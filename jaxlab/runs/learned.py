"""What pretrained weights may have learned already of the samples that a run validates on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlab.core.config import Component, locations
from jaxlab.core.types import UserError
from jaxlab.data.source import Opened, fingerprints, same_data
from jaxlab.experiment import Experiment
from jaxlab.experiment.sides import positions_of
from jaxlab.pretext import PRETEXT
from jaxlab.runs.checks import recorded
from jaxlab.training.ancestor import is_run, located
from jaxlab.training.rundir import RunDirectory


def learned_before(config: Component, opened: Opened, validate: np.ndarray) -> list[str]:
    """A warning for each run, among the pretrained weights in `config`, that was trained on some of the samples.

    validate: their positions. Nothing is said of runs on other data, and of those that learned without labels.
    """
    named = (source for path, source in locations(config).items() if path.endswith("pretrained"))
    lines = [_warning(source, opened, validate) for source in dict.fromkeys(named) if is_run(source)]
    return [line for line in lines if line is not None]


def _warning(source: str, opened: Opened, validate: np.ndarray) -> str | None:
    try:
        learned = _learned(RunDirectory(located(source)), opened)
    except _NotTold as error:
        return (
            f"warning: the weights of {source} were trained on samples of these data, among other subjects', and which "
            f"of them it validated on cannot be told ({error}); scores may be too good"
        )
    if not (both := int(np.isin(validate, learned).sum())):
        return None
    return (
        f"warning: the weights of {source} were trained on {both:,} of the {len(validate):,} samples for validation, "
        "so that scores are too good; a run by the same split and split.seed, or one on other data, has not seen them"
    )


class _NotTold(Exception):
    """The data of several subjects that a run was trained on are not there, or others now."""


def _learned(rundir: RunDirectory, opened: Opened) -> np.ndarray:
    """Positions in `opened` of what the run was trained on, with labels; none of other data."""
    nothing = np.array([], int)
    try:
        config = recorded(rundir)
        if not isinstance(config, Experiment) or all(one.truth == PRETEXT for one in config.goals.values()):
            return nothing
        known = rundir.info()["data"]
        found = _fingerprint(config, opened)
        if found is not None and same_data(known["fingerprint"], found):
            return positions_of(config, opened)[0]
        return _of_subjects(config, known, opened)
    except UserError:  # parts that are not known here, or columns that are not there: it is of other data
        return nothing


def _fingerprint(config: Experiment, opened: Opened) -> str | None:
    """As the run would have it; None of data without a column that it learned from."""
    there = all(name in opened.train.columns for name in config.learned_columns)
    return config.fingerprint(opened) if there or opened.subjects else None


def _of_subjects(config: Experiment, known: Mapping[str, Any], opened: Opened) -> np.ndarray:
    """The same where either is of several subjects, by those that both have. known: of the run's data, as run.json."""
    subjects = opened.subjects or {"": opened}
    whole = known["fingerprint"].rpartition("/")[2]  # without texts, as those of subjects are
    theirs = {found: name for name, found in known.get("subjects", {"": whole}).items()}
    both = {
        name: theirs[found]
        for name, found in fingerprints(subjects, config.learned_columns).items()
        if found in theirs
    }
    if not both:
        return np.array([], int)
    learned = _by_subject(config, known) if "subjects" in known else None
    inside = {
        name: positions_of(config, subjects[name])[0] if learned is None else learned[their_name]
        for name, their_name in both.items()
    }
    return np.concatenate([_rows_of(name, opened)[rows] for name, rows in inside.items()])


def _by_subject(config: Experiment, known: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """{subject: positions, among its own samples, of those that the run was trained on}. Raises _NotTold."""
    pool = _pool(config, known)
    learn, _ = positions_of(config, pool)
    rows = {name: _rows_of(name, pool) for name in pool.subjects}
    return {name: np.searchsorted(own, learn[np.isin(learn, own)]) for name, own in rows.items()}


def _rows_of(subject: str, opened: Opened) -> np.ndarray:
    """Positions of a subject's samples; of data of one, who has no name there, all."""
    train = opened.train
    return np.flatnonzero(train.columns["subject"] == subject) if subject else np.arange(len(train))


def _pool(config: Experiment, known: Mapping[str, Any]) -> Opened:
    """What the run was trained on. Raises _NotTold."""
    try:
        pool = config.data.open()
    except UserError as error:
        raise _NotTold(str(error)) from None
    if fingerprints(pool.subjects, config.learned_columns) != known["subjects"]:
        raise _NotTold("its own data have changed since")
    return pool
