"""Folds as a run: a run for each fold in RUN/fold0, RUN/fold1, ..., and what they predict together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from rich.console import Console

from jaxlab.core.config import to_json
from jaxlab.core.plots import score_dots
from jaxlab.core.score_tables import score_tables
from jaxlab.core.types import UserError
from jaxlab.evaluate.scores import TargetScores, scores_of, scores_over, target_scores
from jaxlab.experiment.sides import divided
from jaxlab.experiment.study import Study, innermost
from jaxlab.objectives import Labelled
from jaxlab.runs.checks import check_unseen
from jaxlab.runs.run import NamedScores, Which, numbers
from jaxlab.runs.study import directories_of
from jaxlab.runs.together import TogetherRun
from jaxlab.training import journal
from jaxlab.training.checkpoint import saved
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, SubmissionError


class FoldsRun(TogetherRun):
    """Trained folds, whose networks are one network but for their parameters. They predict as their mean.

    A sample's out-of-fold prediction is that of the fold that did not learn it, by its last checkpoint: the best one
    was picked for its score on these very samples, which would then look better than it is.
    """

    noun = "folds"
    compares = False
    usual = "last"

    # -- training

    @classmethod
    def check(cls, study: Study, rundir: RunDirectory) -> None:
        """Raises UserError where a fold has too few samples or has learned its own."""
        experiment = innermost(study)
        opened = experiment.data.open()
        variants, directories = study.variants(), directories_of(rundir, study)
        for variant in variants.values():
            divided(variant, opened)
        trained = [name for name, fold in directories.items() if fold.exists() and saved(fold.checkpoints)]
        data = experiment.fingerprint(opened) if trained else ""
        for name in trained:
            check_unseen(directories[name], variants[name], data)

    @classmethod
    def described(cls, study: Study) -> Mapping[str, Any]:
        return {"folds": len(study.variants())}

    @classmethod
    def conclude(cls, study: Study, rundir: RunDirectory, session: Session) -> str | None:
        """The out-of-fold predictions, and a table of scores."""
        run = cls(rundir, study)
        *others, last = run.by_subject.values()
        whole = all(part.kept is not None for part in (*others, last))
        if not whole and not session.budget.allows(["start", "compile", *["validation"] * len(run.members)]):
            return "the out-of-fold predictions"
        held: list[Predictions] = []

        def each() -> Iterator[Predictions]:
            for part in others:
                yield part.made(keep=not whole)
            held.append(last.made())
            yield held[0]

        by_fold = run.scores_by_fold(each())
        if not whole:
            _keep(run, by_fold)
            held[0].save(last.rundir.predictions("out_of_fold"))  # last: it tells that all is there
        _report(session.console, by_fold)
        return None

    @cached_property
    def by_subject(self) -> "Mapping[str, FoldsRun]":
        """The run of each subject, where its data pool several; else itself, without a name."""
        found: Any = {name: self.subject(name) for name in self.subjects}
        return found or {"": self}

    def made(self, keep: bool = False) -> Predictions:
        """Those `kept`, or made anew, and then kept where that is asked for."""
        if (found := self.kept) is not None:
            return found
        predictions = self.out_of_fold()
        if keep:
            predictions.save(self.rundir.predictions("out_of_fold"))
        return predictions

    def scores_by_fold(self, each: Iterable[Predictions]) -> dict[str, NamedScores]:
        """{"fold0": scores, ..., "all": scores} of `by_subject`'s out-of-fold predictions: of a fold's samples, of all.

        Of several subjects over the targets of all. each: of which one subject's at a time are in memory.
        """
        if not self.subjects:
            (predictions,) = each
            return scores_by_fold(predictions)
        parts = list(map(FoldsRun._by_target, self.by_subject.values(), each))
        ceiling = self.primary.ceiling(self.opened)
        return {name: scores_over([part[name] for part in parts], ceiling) for name in parts[0]}

    def _by_target(self, predictions: Predictions) -> dict[str, TargetScores]:
        """The same of each of one subject's targets."""
        truth = self.primary.truth(self.opened.train)
        assert truth is not None
        rows = {f"fold{number}": fold.positions[1] for number, fold in enumerate(self._networks)}
        rows["all"] = every = np.sort(np.concatenate(list(rows.values())))
        return {
            name: target_scores(predictions.values[np.searchsorted(every, chosen)], truth[chosen])
            for name, chosen in rows.items()
        }

    # -- predictions

    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        """The folds' mean for the test images, or the labelled samples, each by the fold that did not learn it."""
        if split == "test":
            return self.averaged(list(self.predict_members(which)), which)
        if split == "out_of_fold":
            return self.out_of_fold(which)
        raise UserError(
            f"{self.rundir.path}: expected the test or out_of_fold split, found {split!r}; each fold validates on "
            f"samples of its own (jaxlab predict {self.rundir.path}/fold0 --split validation)"
        )

    def scored(self, members: Sequence[Predictions], which: Which | None) -> Mapping[str, Any]:
        return {"out_of_fold": dict(self._recorded(which))}

    def out_of_fold(self, which: Which | None = None, stage: str | None = None) -> Predictions:
        """Predictions of the labelled samples, in the data's order, each by the fold that did not learn it.

        stage: as `NetworkRun.predict_each` has it.
        Raises UserError where that cannot be told, as data or split are not those of the training.
        """
        self.refuse_several()
        train, checkpoints = self.opened.train, self.checkpoints(self.usual if which is None else which)
        for fold in self._networks:
            check_unseen(fold.rundir, fold.experiment, self.fingerprint)
        truth = self.primary.truth(train)
        if truth is None:
            raise UserError(f"{self.rundir.path}: the data have no {self.primary.of} to compare with")
        truth = self.primary.scored(truth)
        ceiling = self.primary.ceiling(self.opened)
        rows = [fold.positions[1] for fold in self._networks]
        values = np.empty((len(train), len(self.targets)), self.primary.dtype)
        parts: list[Predictions] = []
        for fold, chosen, checkpoint in zip(self._networks, rows, checkpoints, strict=True):
            inferred: Mapping[str, Any] = {}
            scores: NamedScores = {}
            if len(chosen):  # one of several subjects may have none in a fold
                each = self._network.predict_each(train, chosen, [checkpoint], stage is None, stage)
                ((values[chosen], inferred),) = each
                scores = scores_of(values[chosen], truth[chosen], ceiling, self.primary.answer_types)
            part = fold.named(train.ids[chosen], values[chosen], "out_of_fold", checkpoint, inferred)
            made = {**part.provenance["scores"], "out_of_fold": scores}
            origin = {**part.provenance, "scores": made}
            parts.append(replace(part, provenance=origin))
        every = np.sort(np.concatenate(rows))
        scores = scores_of(values[every], truth[every], ceiling, self.primary.answer_types)
        by_fold = [part.provenance for part in parts]
        origin = {**self.made_of({"out_of_fold": scores}, by_fold), "folds": by_fold}
        return replace(parts[0], ids=train.ids[every], values=values[every], provenance=origin)

    @property
    def kept(self) -> Predictions | None:
        """The out-of-fold predictions on disk, where they are of the folds' last checkpoints."""
        file = self.rundir.predictions("out_of_fold")
        if not file.is_file():
            return None
        try:
            predictions = Predictions.load(file)
        except SubmissionError:  # damaged: they are made anew
            return None
        made_by = [fold.get("digest") for fold in predictions.provenance.get("folds", [])]
        now = [checkpoint.meta()["digest"] for checkpoint in self.checkpoints("last")]
        return predictions if made_by == now else None

    # -- scores

    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        """{"out_of_fold": scores} of images as they are, and as the experiment's `inference` asks for them."""
        return self.evaluate_checkpoints(which)["all"]

    def evaluate_checkpoints(self, which: Any = None) -> dict[str, dict[str, NamedScores]]:
        """{"fold0": {"validation": scores}, ..., "all": {"out_of_fold": scores}} of images as they are.

        Of several objectives with those of each as `objective/score`, as a network's validation has them. With
        "validation_tta", "out_of_fold_tta" and the like where the experiment's `inference` asks for them.
        """
        if which == "all":
            raise UserError(
                f"{self.rundir.path}: expected best or last, found all; a fold's own checkpoints are evaluated by "
                f"`jaxlab evaluate {self.rundir.path}/fold0 --checkpoints all`"
            )
        found: dict[str, dict[str, NamedScores]] = {}
        for stage in ("plain", *self.experiment.experiment.inference.stages()):
            after = "" if stage == "plain" else f"_{stage}"
            for name, scores in self._scores_of_all(which, stage).items():
                split = "out_of_fold" if name == "all" else "validation"
                found.setdefault(name, {})[f"{split}{after}"] = scores
        return found

    def _by_fold(self, which: Which | None, stage: str) -> dict[str, NamedScores]:
        return self.scores_by_fold(run.out_of_fold(which, stage) for run in self.by_subject.values())

    def _scores_of_all(self, which: Which | None, stage: str) -> dict[str, NamedScores]:
        """`scores_by_fold` of every objective, those of the predicted one under their plain names too."""
        found = self._by_fold(which, stage)
        if len(self.objectives) == 1:
            return found
        named = {name: dict(scores) for name, scores in found.items()}
        for one in self.objectives:
            run = self if one.name == self.primary.name else self.predicting(one.name)
            by_fold = found if run is self else run._by_fold(which, stage)
            for name, scores in by_fold.items():
                named[name] |= {f"{one.name}/{score}": value for score, value in scores.items()}
        return named

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        """{"last": {"out_of_fold": scores}}."""
        scores = journal.validations(self.rundir.metrics).get(0, {})
        return {"last": {"out_of_fold": numbers(scores)}} if scores else {}

    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        """Out of fold."""
        if untrained:
            raise UserError(
                f"{self.rundir.path}: each fold begins as the same network; ask one (jaxlab evaluate "
                f"{self.rundir.path}/fold0 --untrained)"
            )
        values = self.out_of_fold(which, "plain").values
        rows = [fold.positions[1] for fold in self._networks]
        yield Labelled("out_of_fold", np.sort(np.concatenate(rows)), values)

    def _recorded(self, which: Which | None) -> Mapping[str, Any]:
        """The out-of-fold scores, as far as they are of these checkpoints and of predictions made alike."""
        if self.predicts is not None:
            return {}  # the journal has those of the first objective
        recorded = self.rundir.config()["experiment"].get("inference")
        alike = which in (None, "last") and recorded == to_json(self.experiment.experiment.inference)
        return journal.validations(self.rundir.metrics).get(0, {}) if alike else {}


def _keep(run: "FoldsRun", by_fold: Mapping[str, NamedScores]) -> None:
    """The scores of out-of-fold predictions, and a figure of them, in the run directory."""
    scores = journal.Journal(run.rundir.path, -1)
    scores.write(0, 0, "validation", by_fold["all"])
    scores.close()
    name = run.primary.headline
    bars = {fold: scores[name] for fold, scores in by_fold.items()}
    score_dots(bars, run.rundir.plot("folds"), f"{name}, by fold and out of fold")


def scores_by_fold(predictions: Predictions) -> dict[str, NamedScores]:
    """{"fold0": scores, ..., "all": scores} that out-of-fold predictions bring along: of a fold's samples, of all."""
    whole = predictions.provenance
    *folds, all_scores = (made["scores"]["out_of_fold"] for made in (*whole["folds"], whole))
    return {**{f"fold{number}": scores for number, scores in enumerate(folds)}, "all": all_scores}


def _report(console: Console, by_fold: dict[str, NamedScores]) -> None:
    """The scores by fold, their mean and standard deviation, and those of all out-of-fold predictions together."""
    *folds, whole = by_fold.values()
    each = {name: np.array([scores[name] for scores in folds]) for name in whole}
    rows = {name: scores for name, scores in by_fold.items() if name != "all"}
    rows["mean"] = {name: float(values.mean()) for name, values in each.items()}
    rows["sd"] = {name: float(values.std(ddof=1)) for name, values in each.items()}
    rows["out of fold"] = whole
    lines = [((first,), {name: f"{scores[name]:.4f}" for name in whole}) for first, scores in rows.items()]
    title = f"{len(folds)} folds, each network as its training left it"
    for table in score_tables(console, ("fold",), lines, title):
        console.print(table)
    console.print(
        "out of fold: of all folds' predictions together, whose offsets differ; mean: of the folds' scores"
    )
