"""Training on a few batches, and how well these are known afterwards."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.special import log_softmax

from jaxlab.core.config import Component
from jaxlab.core.folders import remove
from jaxlab.core.lock import locked
from jaxlab.core.types import UserError
from jaxlab.experiment.overfit import is_overfitting, overfitting
from jaxlab.objectives import Resolved
from jaxlab.runs import api
from jaxlab.runs.checks import recorded
from jaxlab.runs.overfit import advice, shown
from jaxlab.runs.overfit.varying import varying
from jaxlab.runs.run import Run
from jaxlab.training import journal
from jaxlab.training.rundir import RunDirectory
from submit.files.urls import refuse_url


@dataclass(frozen=True, eq=False)
class Learned:
    """How well an objective's samples are known. values, truth: (n, t), of classes logits (n, t) and numbers (n,).

    loss: what is judged, of predictions in evaluation mode by the best checkpoint: the squared error in standard
    deviations of each target over these samples, averaged over those that vary, so that units do not matter; of
    classes the cross-entropy in nats.
    """

    objective: Resolved
    values: np.ndarray
    truth: np.ndarray
    loss: float


@dataclass(frozen=True, eq=False)
class Overfit:
    """passed: whether each objective's loss is below `below`. path: the run. learned: {} where training broke off.

    broke: the loss became infinite or NaN. tries: what to try, first things first; () where it passed.
    """

    passed: bool
    below: float
    path: Path
    learned: dict[str, Learned]
    broke: str = ""
    tries: tuple[str, ...] = ()


def overfit(
    config: Component,
    run: str | Path | None = None,
    *,
    name: str = "experiment",
    batches: int = 2,
    epochs: int = 50,
    below: float = 0.1,
    source: str | None = None,
    console: Console | None = None,
) -> Overfit:
    """Train the experiment of a config on `batches` batches for `epochs` epochs, without what keeps from overfitting.

    Passes where its `Learned.loss` falls below `below`. Says so, shows how predictions and targets are distributed, and
    where it fails what to try. run: default runs/NAME-overfit, made anew each time.
    Raises UserError as training does, and for a directory that holds anything else than an earlier such run.
    """
    for option, value in (("batches", batches), ("epochs", epochs)):
        if value < 1:
            raise UserError(f"overfit: {option}: expected 1 or more, found {value}")
    if not 0 < below < math.inf:
        raise UserError(f"overfit: below: expected more than 0, found {below}")
    experiment = overfitting(config, batches, epochs)
    path = Path(run) if run is not None else Path("runs") / f"{name}-overfit"
    refuse_url(path)  # made anew each time: there is nothing to go on with elsewhere
    _clear(path)
    console = console or Console()
    broke = ""
    try:
        api.train(experiment, path, source=source, console=console)
    except UserError as error:
        if not _is_not_finite(path):
            raise
        broke = str(error)
    learned = {} if broke else _learned(api.load(path, trust=True))
    passed = bool(learned) and all(one.loss < below for one in learned.values())
    tries = () if passed else tuple(advice.tries(experiment, path, learned, below))
    found = Overfit(passed, below, path, learned, broke, tries)
    shown.show(console, found)
    shown.draw(found, RunDirectory(path).plot("overfit"))
    return found


def _clear(path: Path) -> None:
    """An earlier run is made anew. Raises UserError for what is none, or where somebody is at it."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    rundir = RunDirectory(path)
    try:
        ours = rundir.exists() and is_overfitting(recorded(rundir))
    except UserError:
        ours = False
    if not ours:
        raise UserError(f"{path}: is there already, and is no earlier run of overfit; give another --run")
    with locked(path / "lock", path):
        remove(path)


def _is_not_finite(path: Path) -> bool:
    """Whether the last update that was made is not finite."""
    steps = journal.read(RunDirectory(path).metrics, "step")
    return bool(steps) and None in (steps[-1].get("loss"), steps[-1].get("gradient_norm"))


def _learned(run: Run) -> dict[str, Learned]:
    return {one.name: _of(run.predicting(one.name)) for one in run.objectives}


def _of(run: Run) -> Learned:
    found = next(part for part in run.labelled("best") if part.split == "train")
    objective: Any = run.primary
    whole = objective.truth(run.opened.train)
    truth = objective.single(whole)[found.rows]
    return Learned(objective, found.values, truth, loss_of(found.values, truth))


def loss_of(values: np.ndarray, truth: np.ndarray) -> float:
    """As `Learned.loss` has it; NaN where no target varies. What is missing, NaN or class -1, has no part."""
    if truth.ndim == 1:
        labelled = np.flatnonzero(truth >= 0)
        chosen = log_softmax(values.astype(np.float64), axis=1)[labelled, truth[labelled]]
        return float(-chosen.mean()) if len(chosen) else math.nan
    varies = varying(truth)
    if not varies.any():
        return math.nan
    values, truth = (side[:, varies].astype(np.float64) for side in (values, truth))
    known = ~np.isnan(truth)
    error = np.where(known, np.square(values - truth), 0.0).sum(0) / known.sum(0)
    return float((error / np.nanvar(truth, axis=0)).mean())
