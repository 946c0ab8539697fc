"""Predictions of labelled samples that a run did not learn, beside their truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.data.source import examples
from jaxlab.objectives import Labelled
from jaxlab.runs import keeping
from jaxlab.runs.run import Run
from jaxlab.training.budget import duration_text
from submit import Predictions, SubmissionError
from submit.predictions import LABELLED
from submit.scores import bootstrap
from submit.scores.by_class import ByClass
from submit.scores.by_target import ByTarget
from submit.scores.interval import Estimate, Interval

_CELLS = 20_000_000  # samples x targets, of more of which a median's interval takes minutes


@dataclass(frozen=True, eq=False)
class Evidence:
    """predictions: as the run makes them. rows: (n,) of the labelled data. truth: (n, t) numbers, or (n,) classes.

    found: scores by target or class. before: the same of the network before training, where it was asked for.
    notes: what should be said of them.
    """

    run: Run
    predictions: Predictions
    rows: np.ndarray
    truth: np.ndarray
    found: ByTarget | ByClass
    before: ByTarget | ByClass | None
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        return self.predictions.split

    @property
    def values(self) -> np.ndarray:
        """(n, t)."""
        return self.predictions.values

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Scores by their names in `SCORES`, each with its 95 % interval over samples."""
        if isinstance(self.found, ByClass):
            return {"accuracy": accuracy(self.values, self.truth).interval()}
        values, truth = self.values, self.truth
        if not (np.isfinite(values).all() and np.isfinite(truth).all()):
            return {}
        both: tuple[bootstrap.Aggregate, ...] = ("mean", "median") if values.size < _CELLS else ("mean",)
        found = {}
        for score in ("pearson", "explained_variance") if values.size < _CELLS else ("pearson",):
            aggregates = both if score == "pearson" else ("mean",)
            for name, one in zip(
                aggregates, bootstrap.estimates(values, truth, score, aggregates), strict=True
            ):
                found[score if name == "mean" else f"{score}_{name}"] = one.interval()
        return found


def likeliest(values: np.ndarray) -> np.ndarray:
    """(n,) the class of each row, -1 where a value is not finite."""
    return np.where(np.isfinite(values).all(1), values.argmax(1), -1)


def accuracy(values: np.ndarray, truth: np.ndarray) -> Estimate:
    """Of scores (n, c) and numbers of classes (n,); of none of the classes, or not finite, is wrong."""
    return bootstrap.estimates(likeliest(values), np.where(truth < 0, -2, truth), "accuracy")[0]


def gather(
    run: Run, compute: bool, log: Callable[[str], None] = lambda line: None, untrained: bool = True
) -> Evidence:
    """What the run kept of a split that it did not learn, or else, where that may be computed, what it predicts.

    compute: also whether the data are those of then, and where `untrained` the network before training.
    log: is told what takes its time.
    Raises UserError or SubmissionError where there is neither, and where truth and predictions do not go together.
    """
    predictions, notes = _predictions(run, compute, log)
    rows = _rows(run, predictions)
    truth = run.primary.truth(run.opened.train)
    if truth is None:
        raise UserError(f"the data have no {run.primary.of} to compare predictions with")
    if compute:
        run.has_its_data(run.fingerprint)
    else:
        notes.append("Whether the data are still those that the run was trained on was not looked at.")
    if bad := int((~np.isfinite(predictions.values).all(1)).sum()):
        notes.append(f"Predictions of {bad:,} of {len(rows):,} samples are not finite.")
    labelled = Labelled(predictions.split, rows, predictions.values)
    found = run.primary.breakdown(labelled, run.opened)
    before = _before(run, predictions, notes) if compute and untrained else None
    scored = run.primary.single(truth)[rows]
    return Evidence(run, predictions, rows, scored, found, before, tuple(notes))


def _predictions(run: Run, compute: bool, log: Callable[[str], None]) -> tuple[Predictions, list[str]]:
    for split in LABELLED:
        if (kept := keeping.kept(run, split)) is not None:
            return kept, []
    if not compute:
        raise UserError(
            f"{run.rundir.path}: no predictions of labelled samples are kept in it, and with --quick none are made"
        )
    log(f"{run.rundir.path}: predicting its labelled samples, which it has not kept")
    refused = []
    for split in LABELLED:
        began = time.monotonic()
        try:
            found = run.predict_split(split)
        except UserError as error:
            refused.append(str(error))
            continue
        took = duration_text(time.monotonic() - began)
        how = f"`jaxlab predict {run.rundir.path} --split {split}` keeps them"
        return found, [f"Predicting {counted(len(found), 'sample')} took {took}; {how}."]
    raise UserError(refused[-1])


def _rows(run: Run, predictions: Predictions) -> np.ndarray:
    """Where the samples are in the labelled data. Raises UserError where they are not, or targets are others."""
    at = {name: row for row, name in enumerate(run.opened.train.ids.tolist())}
    ids = predictions.ids.tolist()
    if strange := [name for name in ids if name not in at]:
        raise UserError(
            f"{run.rundir.path}: {len(strange)} of {len(ids)} samples that it predicted are not among the data's "
            f"({examples(strange)}); where others lie there now, name its own (--set data.root=FOLDER)"
        )
    if predictions.targets.tolist() != list(run.targets):
        raise UserError(f"{run.rundir.path}: its kept predictions are of other targets than its own")
    return np.array([at[name] for name in ids], np.int64)


def _before(run: Run, predictions: Predictions, notes: list[str]) -> ByTarget | ByClass | None:
    """Scores of the network before training, where the run is one; a note where that cannot be made."""
    if predictions.split != "validation":
        return None
    try:
        found = run.before_training(predictions.split)
    except (UserError, SubmissionError, OSError) as error:
        notes.append(f"The network before training is not shown: {error}.")
        return None
    return None if found is None else run.primary.breakdown(found, run.opened)
