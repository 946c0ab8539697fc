"""Folds as a run: an ordinary run for each fold in RUN/fold0, RUN/fold1, ..., and what they predict together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import log_softmax

from jaxlab.core.config import to_json
from jaxlab.core.plots import score_bars
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.data.source import Opened, examples, fingerprint
from jaxlab.evaluate.inference import together
from jaxlab.evaluate.scores import scores_of
from jaxlab.experiment.folds import Folds
from jaxlab.runs.network import train as fit
from jaxlab.runs.network.begin import check_same, check_unseen
from jaxlab.runs.network.run import Run, Which
from jaxlab.runs.network.train import divided, positions_of
from jaxlab.training import journal
from jaxlab.training.budget import Budget, spoken
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.display import headline
from jaxlab.training.rundir import RunDirectory, provenance
from jaxlab.training.session import Session
from submit import Predictions, ensemble

Scores = dict[str, float]


def train_folds(
    config: Folds,
    rundir: RunDirectory,
    *,
    source: str | None = None,
    allow_config_change: bool = False,
    console: Console | None = None,
    budget: Budget | None = None,
) -> Path:
    """Train each fold that is not trained yet, then keep the out-of-fold predictions and their scores.

    Arguments, result and errors are those of `fit.train`.
    """
    session = Session(console, budget)
    new = not rundir.exists() or allow_config_change
    if rundir.exists():  # whether data have changed, each fold finds out
        info = rundir.info()
        check_same(config, rundir, info, info, allow_config_change, session.tell)
    if new:
        _check_folds(config, rundir)
    for number, fold in enumerate(fold_directories(rundir, config)):
        title = f"fold {number + 1} of {config.folds}"
        if not session.budget.allows(["start", "compile", "step", "checkpoint"]):
            return _stopped(rundir, session, f"before {title}")
        session.tell(f"{title}: {fold.path}")
        given: dict[str, Any] = {"source": source, "allow_config_change": allow_config_change}
        fit.train(config.fold(number), fold.path, **given, console=console, budget=budget, title=title)
        if new:  # now that the data and the config are known to go together
            rundir.create(to_json(config), source, {**fold.info(), "folds": config.folds})
            new = False
        if session.budget.stopped:
            return rundir.path
    run = FoldsRun(rundir, config)
    predictions = run.kept
    if predictions is None:
        if not session.budget.allows(["start", "compile", *["validation"] * config.folds]):
            return _stopped(rundir, session, "before the out-of-fold predictions")
        predictions = run.out_of_fold()
        _keep(run, predictions)
    _report(session.console, scores_by_fold(predictions))
    return rundir.path


def fold_directories(rundir: RunDirectory, config: Folds) -> list[RunDirectory]:
    """RUN/fold0, RUN/fold1, ..."""
    return [RunDirectory(rundir.path / f"fold{number}") for number in range(config.folds)]


def _check_folds(config: Folds, rundir: RunDirectory) -> None:
    """Raises UserError, before the first is trained, where a fold has too few samples or has learned its own."""
    opened = config.experiment.data.open()
    for number in range(config.folds):
        divided(config.fold(number), opened)
    folds = enumerate(fold_directories(rundir, config))
    if trained := [(number, fold) for number, fold in folds if fold.exists() and saved(fold.checkpoints)]:
        data = fingerprint(opened)
        for number, fold in trained:
            check_unseen(fold, config.fold(number), data)


def _stopped(rundir: RunDirectory, session: Session, where: str) -> Path:
    used = spoken(session.budget.used)
    session.tell(f"stopped after {used}, {where}; the same command goes on from there")
    return rundir.path


def _keep(run: "FoldsRun", predictions: Predictions) -> None:
    """Out-of-fold predictions, their scores and a figure of them, in the run directory."""
    by_fold = scores_by_fold(predictions)
    record = journal.Journal(run.rundir.path, -1)
    record.write(0, 0, "validation", by_fold["all"])
    record.close()
    name = headline(by_fold["all"])
    bars = {fold: scores[name] for fold, scores in by_fold.items()}
    score_bars(bars, run.rundir.plot("folds"), f"{name}, by fold and out of fold")
    predictions.save(run.rundir.predictions("out_of_fold"))  # last: it tells that all of them are there


def scores_by_fold(predictions: Predictions) -> dict[str, Scores]:
    """{"fold0": scores, ..., "all": scores} that out-of-fold predictions bring along: of a fold's samples, of all."""
    whole = predictions.provenance
    *folds, all_scores = (made["scores"]["out_of_fold"] for made in (*whole["folds"], whole))
    return {**{f"fold{number}": scores for number, scores in enumerate(folds)}, "all": all_scores}


def _report(console: Console, by_fold: dict[str, Scores]) -> None:
    """The scores by fold, their mean and standard deviation, and those of all out-of-fold predictions together."""
    *folds, whole = by_fold.values()
    columns = (name.replace("_", " ") for name in whole)
    title = f"{len(folds)} folds, each network as its training left it"
    table = Table("fold", *columns, title=title, title_justify="left", box=None)
    each = {name: np.array([scores[name] for scores in folds]) for name in whole}
    rows = {name: scores for name, scores in by_fold.items() if name != "all"}
    rows["mean"] = {name: float(values.mean()) for name, values in each.items()}
    rows["sd"] = {name: float(values.std(ddof=1)) for name, values in each.items()}
    for first, scores in {**rows, "out of fold": whole}.items():
        table.add_row(first, *(f"{scores[name]:.4f}" for name in whole))
    console.print(table)


class FoldsRun:
    """Trained folds, whose networks are one network but for their parameters. They predict as their mean.

    A sample's out-of-fold prediction is that of the fold that did not learn it, by its last checkpoint: the best one
    was picked for its score on these very samples, which would then look better than it is.
    """

    usual: Which = "last"

    def __init__(self, rundir: RunDirectory, config: Folds):
        self.rundir, self.experiment = rundir, config
        directories = fold_directories(rundir, config)
        if missing := [fold.path.name for fold in directories if not saved(fold.checkpoints)]:
            raise UserError(
                f"{rundir.path}: {len(missing)} of {config.folds} folds have no checkpoint yet ({examples(missing)}); "
                "the same `jaxlab train` makes them"
            )
        self.info = rundir.info()
        self.folds = [Run(fold, config.fold(number)) for number, fold in enumerate(directories)]
        if differing := [fold.rundir.path.name for fold in self.folds if fold.task != self._network.task]:
            raise UserError(
                f"{rundir.path}: {examples(differing)} differ from fold0 in targets, images or normalisation"
            )

    @property
    def _network(self) -> Run:
        """The run that predicts, with the checkpoints of all: it compiles and decodes once."""
        return self.folds[0]

    @property
    def kind(self) -> Kind:
        """regression or classification."""
        return self._network.kind

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the outputs' columns."""
        return self._network.targets

    @property
    def opened(self) -> Opened:
        """The source, opened."""
        return self._network.opened

    @property
    def test(self) -> tuple[Samples | None, Path | None]:
        """The samples to predict and the sample submission, where there are any."""
        return self._network.test

    def predict(
        self, images: np.ndarray | str | Path | Sequence[str | Path], which: Which = "last"
    ) -> np.ndarray:
        """(n, t) float32: the mean over folds of what `Run.predict` has for these images.

        Of classes, the logarithms of mean probabilities, since these are what `predict_split` averages.
        """
        samples = self._network.given(images)
        each = self._network.predict_each(samples, np.arange(len(samples)), self._checkpoints(which))
        wide = (values.astype(np.float64) for values, _ in each)
        if self.kind == "regression":
            return (reduce(np.add, wide) / len(self.folds)).astype(np.float32)
        total = reduce(np.logaddexp, (log_softmax(logits, 1) for logits in wide))
        return (total - np.log(len(self.folds))).astype(np.float32)

    def predict_split(
        self, split: Literal["test", "out_of_fold"] = "test", which: Which = "last"
    ) -> Predictions:
        """The folds' mean for the test images, or the labelled samples, each by the fold that did not learn it.

        Raises UserError for any other split.
        """
        if split == "test":
            return self.averaged(list(self.predict_folds(which)), which)
        if split == "out_of_fold":
            return self.out_of_fold(which)
        raise UserError(
            f"{self.rundir.path}: expected the test or out_of_fold split, found {split!r}; each fold validates on "
            f"samples of its own (jaxlab predict {self.rundir.path}/fold0 --split validation)"
        )

    def predict_folds(self, which: Which = "last") -> Iterator[Predictions]:
        """Each fold's predictions of the test images, in turn."""
        samples, checkpoints = self._network.test_samples(), self._checkpoints(which)
        each = self._network.predict_each(samples, np.arange(len(samples)), checkpoints, compare=True)
        for fold, (values, inferred), checkpoint in zip(self.folds, each, checkpoints, strict=True):
            yield fold.named(samples.ids, values, "test", checkpoint, inferred)

    def averaged(self, members: Sequence[Predictions], which: Which = "last") -> Predictions:
        """The mean of the folds' predictions, with the provenance of all."""
        mean = ensemble.mean(members)
        origin = self._origin(self._recorded(which), [member.provenance for member in members])
        return replace(mean, provenance={**mean.provenance, **origin})

    def out_of_fold(self, which: Which = "last", stage: str | None = None) -> Predictions:
        """Predictions of the labelled samples, in the data's order, each by the fold that did not learn it.

        stage: as `Run.predict_each` has it.
        Raises UserError where that cannot be told, as data or split are not those of the training.
        """
        train, checkpoints = self.opened.train, self._checkpoints(which)
        truth = train.target if self.kind == "regression" else train.label
        assert truth is not None
        data = fingerprint(self.opened)
        for fold in self.folds:
            check_unseen(fold.rundir, fold.experiment, data)
        rows = [positions_of(fold.experiment, self.opened)[1] for fold in self.folds]
        values = np.empty((len(train), len(self.targets)), np.float32)
        made = []
        for fold, chosen, checkpoint in zip(self.folds, rows, checkpoints, strict=True):
            each = self._network.predict_each(train, chosen, [checkpoint], stage is None, stage)
            ((values[chosen], inferred),) = each
            scores = scores_of(values[chosen], truth[chosen], self.opened.ceiling)
            part = fold.named(train.ids[chosen], values[chosen], "out_of_fold", checkpoint, inferred)
            made.append({**part.provenance, "scores": {**part.provenance["scores"], "out_of_fold": scores}})
        every = np.sort(np.concatenate(rows))
        whole = replace(part, ids=train.ids[every], values=values[every])
        scores = scores_of(whole.values, truth[every], self.opened.ceiling)
        return replace(whole, provenance={**self._origin(scores, made), "folds": made})

    @property
    def kept(self) -> Predictions | None:
        """The out-of-fold predictions on disk, where they are of the folds' last checkpoints."""
        file = self.rundir.predictions("out_of_fold")
        if not file.is_file():
            return None
        predictions = Predictions.load(file)
        made_by = [fold.get("digest") for fold in predictions.provenance.get("folds", [])]
        now = [checkpoint.meta()["digest"] for checkpoint in self._checkpoints("last")]
        return predictions if made_by == now else None

    def evaluate_checkpoints(self, which: Which = "last") -> dict[str, dict[str, Scores]]:
        """{"fold0": {"validation": scores}, ..., "all": {"out_of_fold": scores}} of images as they are.

        With "validation_tta", "out_of_fold_tta" and the like where the experiment's `inference` asks for them.
        """
        if which == "all":
            raise UserError(
                f"{self.rundir.path}: expected best or last, found all; a fold's own checkpoints are evaluated by "
                f"`jaxlab evaluate {self.rundir.path}/fold0 --checkpoints all`"
            )
        found: dict[str, dict[str, Scores]] = {}
        for stage in ("plain", *self.experiment.experiment.inference.stages()):
            after = "" if stage == "plain" else f"_{stage}"
            for name, scores in scores_by_fold(self.out_of_fold(which, stage)).items():
                split = "out_of_fold" if name == "all" else "validation"
                found.setdefault(name, {})[f"{split}{after}"] = scores
        return found

    def _checkpoints(self, which: Which) -> list[Saved]:
        return [fold.checkpoint(which) for fold in self.folds]

    def _recorded(self, which: Which) -> Mapping[str, Any]:
        """The out-of-fold scores, as far as they are of these checkpoints and of predictions made alike."""
        recorded = self.rundir.config()["experiment"].get("inference")
        alike = which == "last" and recorded == to_json(self.experiment.experiment.inference)
        return journal.validations(self.rundir.metrics).get(0, {}) if alike else {}

    def _origin(self, scores: Mapping[str, Any], made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """made: the folds' own provenance."""
        config, inferred = self.rundir.config(), [one["inference"] for one in made if "inference" in one]
        used = {**config["experiment"], "inference": to_json(self.experiment.experiment.inference)}
        return {
            "run": self.rundir.path.name,
            "scores": {"out_of_fold": dict(scores)},
            "config": {**config, "experiment": used},
            "data": self.info["data"],
            **({"inference": together(inferred)} if inferred else {}),
            **provenance(),
        }
