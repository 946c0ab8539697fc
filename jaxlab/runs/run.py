"""What every run offers, whether it is a network, a ridge regression or a study of several."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, overload

import jax
import numpy as np

from jaxlab.core.machine import cores
from jaxlab.core.subjects import subjects_in
from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.source import Opened, Source, fingerprint, same_data, samples_fingerprint
from jaxlab.experiment.study import innermost
from jaxlab.objectives import Labelled, Resolved
from jaxlab.runs import asked, keeping, new_data
from jaxlab.runs.ready import Ready
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.chosen import Which as Which
from jaxlab.training.chosen import chosen
from jaxlab.training.rundir import RunDirectory, provenance
from submit import Predictions

if TYPE_CHECKING:
    from submit.scores.by_class import ByClass
    from submit.scores.by_target import ByTarget

Form = Literal["probabilities", "labels", "logits"]
UserImages = np.ndarray | str | Path | Sequence[str | Path]
NamedScores = dict[str, float]


class Kept(NamedTuple):
    """Predictions, and the file that holds them."""

    predictions: Predictions
    file: Path


class Run(ABC):
    """A trained run: `jaxlab.load` gives one, of the kind that its config asks for.

    rundir: its directory. experiment: its config. info: run.json.
    predicts: the objective that it predicts, where that is not the primary one; see `predicting`.
    usual: the checkpoint that predicts where none is asked for.
    like: another run of a study. Where its data are the same they are opened once for both.
    """

    usual: Which = "best"
    like: "Run | None" = None

    def __init__(self, rundir: RunDirectory, experiment: Any, predicts: str | None = None):
        self.rundir = rundir
        self.experiment = experiment
        self.predicts = predicts
        self.info = rundir.info()

    @classmethod
    def load(cls, rundir: RunDirectory, experiment: Any) -> Self:
        """The run in a directory. Raises UserError where there is no checkpoint yet."""
        if not saved(rundir.checkpoints):
            raise UserError(
                f"{rundir.path}: no checkpoint yet; `jaxlab train` makes them at the end of each epoch"
            )
        return cls(rundir, experiment)

    def __repr__(self) -> str:
        """Where it lies, and what it predicts from what."""
        found = [
            checkpoint.step for member in self.members for checkpoint in saved(member.rundir.checkpoints)
        ]
        what = counted(
            len(self.targets), *(("class", "classes") if self.kind == "classification" else ("target",))
        )
        return (
            f"<{type(self).__name__} {self.rundir.path}: {what} from {type(self.source).__name__}, "
            f"{counted(len(found), 'checkpoint')}>"
        )

    # -- what it predicts

    @property
    @abstractmethod
    def objectives(self) -> tuple[Resolved, ...]:
        """All that it has learned to predict, the first of the config first."""

    @property
    def primary(self) -> Resolved:
        """The objective that is predicted: the first, unless another is asked for."""
        return next(one for one in self.objectives if self.predicts in (None, one.name))

    def predicting(self, objective: str | None) -> Self:
        """The same run, which predicts another of its objectives; None for the first.

        Raises UserError for a name that is none of them.
        """
        first, *others = (one.name for one in self.objectives)
        if objective not in (None, first, *others):
            raise UserError(
                f"{self.rundir.path}: expected one of its objectives, {', '.join((first, *others))}, found "
                f"{objective!r}"
            )
        return type(self)(self.rundir, self.experiment, objective if objective in others else None)

    @property
    def kind(self) -> Kind:
        """regression or classification."""
        return self.primary.kind

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the outputs' columns."""
        return self.primary.targets

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whom it predicts, where its data pool several: `Pooled`; else nobody."""
        return tuple(subjects_in(self.targets)) if self.primary.by_subject and self.source.pools else ()

    def subject(self, name: str) -> "Run":
        """The run of one of its subjects alone, whose predictions have that subject's own ids and target names.

        Raises UserError where there is no such.
        """
        from jaxlab.runs.subjects import of_subject  # which has the kinds of runs

        known: dict[str, Run] = self.__dict__.setdefault("_by_subject", {})  # what one compiles serves again
        if name not in known:
            known[name] = of_subject(self, name)
        return known[name]

    # -- its data

    @property
    def source(self) -> Source:
        """Where its data come from."""
        return self.experiment.data

    @cached_property
    def as_it_is(self) -> Opened:
        """The run's source, opened."""
        if self.like is not None and self.like.source == self.source:
            return self.like.as_it_is
        return self.source.open()

    @cached_property
    def opened(self) -> Opened:
        """The run's source, opened; its targets and classes in the run's order.

        Raises UserError where they are others than the run predicts.
        """
        if self.like is not None and self.like.source == self.source:
            return self.like.opened
        return new_data.matched(self.as_it_is, self.objectives, self.rundir.path)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the labelled data as they are now."""
        of = getattr(innermost(self.experiment), "fingerprint", fingerprint)
        return str(of(self.opened))

    def has_its_data(self, fingerprint: str) -> bool:
        """Whether the data now are those that it was trained on, by their fingerprint; where not, says so."""
        then = self.info["data"]["fingerprint"]
        if not (same := same_data(then, fingerprint)):
            stderr_console().print(
                f"warning: {self.rundir.path} was trained on other data (fingerprint {then[:12]}, now "
                f"{fingerprint[:12]}): its scores are of samples that it may have learned, or never seen the like of, "
                "and are not kept",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        return same

    @cached_property
    def test(self) -> tuple[Samples | None, Path | None]:
        """The samples to predict and the sample submission, where there are any."""
        if self.like is not None and self.like.source == self.source:
            return self.like.test
        return self.source.open_test()

    def test_samples(self) -> Samples:
        """The samples to predict. Raises UserError where there are none."""
        if self.test[0] is None:
            raise UserError(f"{type(self.source).__name__}: these data have no test images to predict")
        return self.test[0]

    def has_samples(self, split: str) -> bool:
        """Whether the data have samples of "test", or another split that it predicts."""
        return split != "test" or self.test[0] is not None

    @cached_property
    def test_fingerprint(self) -> str:
        """SHA-256 of the samples to predict. Raises UserError where there are none."""
        return samples_fingerprint(self.test_samples())

    # -- its checkpoints

    @property
    def members(self) -> "Sequence[Run]":
        """The runs whose checkpoints predict: itself, or those of a study."""
        return (self,)

    @property
    def predictor(self) -> "Run":
        """The run that predicts: itself, or the one of its variants that a study predicts as."""
        return self

    def checkpoint(self, which: Which = "best") -> Saved:
        """The best, the last, or one by its step. For a damaged best or last, the good one before it, and says so.

        Raises UserError where a step is not there or is damaged, or where no checkpoint is whole.
        """
        return chosen(self.rundir.checkpoints, which)

    @property
    def network(self) -> Any:
        """Itself, where it is one trained network. Raises UserError, with what to do instead, where it is not."""
        raise UserError(
            f"{self.rundir.path} is no trained network, so there are no parameters to average; average its predictions "
            "(python -m submit ensemble)"
        )

    def unfinished(self) -> Iterator[str]:
        """A warning for each network whose training was stopped before its end."""
        yield from (line for member in self.members if member is not self for line in member.unfinished())

    # -- predictions and scores

    @overload
    def predict(
        self,
        images: UserImages,
        which: Which | None = None,
        *,
        questions: Sequence[str] | None = None,
        as_: Form | None = None,
        ids: Literal[False] = False,
    ) -> np.ndarray: ...

    @overload
    def predict(
        self,
        images: UserImages,
        which: Which | None = None,
        *,
        questions: Sequence[str] | None = None,
        as_: Form | None = None,
        ids: Literal[True],
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(
        self,
        images: UserImages,
        which: Which | None = None,
        *,
        questions: Sequence[str] | None = None,
        as_: Form | None = None,
        ids: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """(n, t) float32 predictions in the targets' units; logits for classification.

        images: (n, h, w) or (n, h, w, c) uint8 (or float, as the run's own data), a file, a list of files, or a
        folder (its images sorted by name). They are resized as in training. which: default `usual`.
        questions: of a run that answers questions about images, as many as images, several about one, or one about
            all; a row each.
        as_: of classes "probabilities" (n, t), "labels", which are the likeliest classes' names (n,), or "logits".
        ids: whether to return (ids (n,), predictions): the files' names, or an array's rows "0", "1", ...; of a further
            question about the same image with its number, "0#2".
        """
        samples = self.asked(images, questions)
        self.primary.presented(np.zeros((1, len(self.targets)), np.float32), as_)  # refused before predicting
        values = self.primary.presented(self.predicted(samples, which), as_)
        return (samples.ids, values) if ids else values

    @property
    def asks(self) -> tuple[str, ...]:
        """The columns of texts that it reads beside images; none where it sees images alone."""
        return asked.columns_of(self.experiment)

    def asked(self, images: UserImages, questions: Sequence[str] | None = None) -> Samples:
        """`given`, with the questions about them. Raises UserError where these do not go with the images or the run."""
        asked.check_asks(self.asks, questions is not None, self.rundir.path)
        samples = self.given(images)
        return samples if questions is None else asked.asked(samples, questions, self.asks[0])

    @abstractmethod
    def given(self, images: UserImages) -> Samples:
        """Images that are `predict`'s argument, as samples. Raises UserError where they cannot be this run's."""

    @abstractmethod
    def predicted(self, samples: Samples, which: Which | None = None) -> np.ndarray:
        """(n, t) float32 predictions of samples; logits for classification."""

    def ready(self, which: Which | None = None, size: int = 16) -> Ready:
        """The run ready to predict images as they come, up to `size` at a time, as `jaxlab serve` does.

        What it has learned is read once. Raises UserError where it cannot predict images one by one.
        """
        return Ready(self, which)

    @abstractmethod
    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        """Predictions for a split of the run's data, with ids, target names and provenance.

        Raises UserError for a split that it has not.
        """

    def refuse_several(self) -> None:
        """Raises UserError for a run of several subjects, whose predictions are kept one subject after the other."""
        if subjects := self.subjects:
            raise UserError(
                f"{self.rundir.path} predicts {len(subjects)} subjects, each with samples and targets of its own: "
                f"run.subject({subjects[0]!r}) predicts one, `jaxlab predict {self.rundir.path} --out FOLDER` all"
            )

    def keep(self, split: str = "test", which: Which | None = None) -> Predictions:
        """`predict_split`, kept in the run directory, where ensembles look for it.

        Nothing is overwritten: predictions of other data than the run's own, or by another checkpoint than `usual`,
        have a name that says so, as `runs/keeping.py` has it.
        """
        return self.kept_as(split, which).predictions

    def kept_as(self, split: str = "test", which: Which | None = None) -> Kept:
        """`keep`, with the file. Raises UserError, before anything is predicted, for a run that is read-only."""
        keeping.check_writable(self.rundir)
        predictions = self.predict_split(split, which)
        origin = keeping.origin_of(self, predictions, which)
        return Kept(predictions, keeping.keep(self.rundir, predictions, origin))

    @abstractmethod
    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        """{split: scores} of one checkpoint: "train" and "validation", or "out_of_fold" of a study of folds."""

    @abstractmethod
    def evaluate_checkpoints(self, which: Any = None) -> dict[Any, dict[str, NamedScores]]:
        """{step, or member: {split: scores}}. which: as for `evaluate`, or "all"."""

    @abstractmethod
    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        """{"best" or "last": {split: scores}} as training left them, NaN where undefined; nothing is computed."""

    @abstractmethod
    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        """Predictions of the labelled samples, of one checkpoint and of images as they are, a split after another.

        untrained: with those of the network before training, each split's first. Raises UserError where there is none.
        """

    def before_training(self, split: str) -> Labelled | None:
        """What the network predicted of a split before its first step; None of what was never untrained.

        split: "train" or "validation". Raises UserError where it cannot be made anew.
        """
        return None

    def evaluation(self, which: Any = None) -> dict[Any, dict[str, NamedScores]]:
        """`evaluate_checkpoints`; of other data than it was trained on {step: {"all": scores}}, and says so.

        These are of all labelled samples, predicted as `predict` does. Of several objectives those with a truth there,
        as `objective/score`.
        """
        if self.has_its_data(self.fingerprint):
            return self.evaluate_checkpoints(which)
        return new_data.evaluated(self, which)

    def importance(self) -> dict[str, float]:
        """{setting: its share in being among the best} of a search; {} of other runs, and of too few trials."""
        return {}

    def breakdowns(
        self, which: Which | None = None, untrained: bool = False
    ) -> "Iterator[tuple[Labelled, ByTarget | ByClass]]":
        """`labelled`, each with its scores by target and region, or by class."""
        if self.subjects:
            from jaxlab.runs.by_subject import breakdowns  # which takes one run after another

            yield from breakdowns(self, which, untrained)
            return
        own = untrained or same_data(self.info["data"]["fingerprint"], self.fingerprint)
        for labelled in self.labelled(which, untrained) if own else [new_data.labelled(self, which)]:
            yield labelled, self.primary.breakdown(labelled, self.opened)

    def origin(self, scores: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """The provenance of predictions. scores: by split. more: of the checkpoint and of how it was used."""
        origin = {"run": self.rundir.path.name, "scores": scores, "data": self.info["data"]}
        if self.predicts is not None:
            origin["objective"] = self.predicts
        return {**origin, "config": self.rundir.config(), **more, **provenance()}


def record(
    task: Mapping[str, Any],
    fingerprint: str,
    devices: int,
    *,
    weights: Any = None,
    subjects: Mapping[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """run.json. devices: how many are used. weights: the record of pretrained ones. subjects: fingerprints of each."""
    used = {"platform": jax.default_backend(), "used": devices, "cores": cores()}
    data = {"fingerprint": fingerprint, **({"subjects": dict(subjects)} if subjects else {})}
    return {"task": task, "weights": weights, **more, "data": data, "devices": used, **provenance()}


def numbers(scores: Mapping[str, float | None]) -> NamedScores:
    """Scores as records have them, NaN for null."""
    return {name: float("nan") if value is None else float(value) for name, value in scores.items()}
