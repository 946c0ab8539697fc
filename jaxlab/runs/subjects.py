"""One subject of a run that predicts several: with its own ids and target names, as a run by itself has them.

What it keeps lies in predictions/SUBJECT/ of the run. Data are opened once for all subjects, and the images to predict
decoded once, whoever saw them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from jaxlab.core.blocks import Targets, of_columns, taken
from jaxlab.core.subjects import subjects_in, without_subject
from jaxlab.core.types import Samples, UserError
from jaxlab.data.images import ImageRows, SharedImages
from jaxlab.data.source import Opened, Source, examples
from jaxlab.data.texts import Asked
from jaxlab.encode import Loaded, features
from jaxlab.encode.subjects import FittedSubjects
from jaxlab.experiment.inputs import Portion
from jaxlab.experiment.recipe import Recipe, recalled
from jaxlab.experiment.seen import input_of
from jaxlab.objectives import Resolved
from jaxlab.runs import new_data
from jaxlab.runs.folds import FoldsRun
from jaxlab.runs.network.run import NetworkRun
from jaxlab.runs.ridge import RidgeRun
from jaxlab.runs.ridge_subjects import own_rows
from jaxlab.runs.run import NamedScores, Run, Which
from jaxlab.runs.seeds import SeedsRun
from jaxlab.training.checkpoint import Saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import Layout
from jaxlab.training.state import Variables


@dataclass(frozen=True)
class SubjectDirectory(RunDirectory):
    """The run's, with predictions and plots of one subject in folders of their own."""

    subject: str = ""

    def predictions(self, split: str) -> Path:
        return self.path / "predictions" / self.subject / f"{split}.npz"

    def plot(self, name: str) -> Path:
        return self.path / "plots" / self.subject / f"{name}.png"


def of_subject(run: Run, subject: str) -> Run:
    """`run`, of one of its subjects. Raises UserError where there is no such, or it cannot be told apart."""
    if not run.subjects:
        raise UserError(f"{run.rundir.path}: is of one subject, expected a run of data=Pooled(...)")
    if subject not in run.subjects:
        raise UserError(
            f"{run.rundir.path}: no subject {subject!r}; it predicts {examples(run.subjects, len(run.subjects))}"
        )
    for kind, own in _KINDS.items():
        if isinstance(run, kind):
            return own.within(run, subject)
    raise UserError(f"{run.rundir.path}: {type(run).__name__} does not predict one subject by itself")


class OfSubject(Run):
    """What all have in common. whole: the run of all subjects."""

    rundir: SubjectDirectory

    @classmethod
    def within(cls, run: Run, subject: str) -> Self:
        """Of a run at hand, whose data need not be opened anew."""
        found = cls.__new__(cls)
        found.__dict__["whole"] = run
        found.__init__(SubjectDirectory(run.rundir.path, subject), run.experiment, run.predicts)  # type: ignore[misc]
        return found

    @cached_property
    def whole(self) -> Any:
        kind: Any = next(kind for kind, own in _KINDS.items() if isinstance(self, own))
        return kind(RunDirectory(self.rundir.path), self.experiment, self.predicts)

    @property
    def name(self) -> str:
        """The subject's."""
        return self.rundir.subject

    @property
    def subjects(self) -> tuple[str, ...]:
        return ()

    @property
    def source(self) -> Source:
        sources = self.whole.source.of_subjects()
        if self.name not in sources:
            raise UserError(
                f"{self.rundir.path}: the data have no subject {self.name!r}; they have {examples(sources, 20)}"
            )
        return sources[self.name]

    @cached_property
    def opened(self) -> Opened:
        pool = self.whole.as_it_is.subjects
        if self.name not in pool:
            raise UserError(
                f"{self.rundir.path}: the data have no subject {self.name!r}; they have {examples(pool, 20)}"
            )
        return new_data.matched(pool[self.name], self.objectives, self.rundir.path)

    @cached_property
    def test(self) -> tuple[Samples | None, Path | None]:
        return self.source.open_test()

    @property
    def fingerprint(self) -> str:
        return str(self.whole.fingerprint)

    def _is_labelled(self, samples: Samples) -> bool:
        """Whether they are its data's; those without targets are not, and leave labelled data closed: gone, perhaps."""
        return samples.target is not None and samples.ids is self.opened.train.ids

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        """Training leaves scores of all subjects together."""
        return {}

    def origin(self, scores: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return {**super().origin(scores, **more), "subject": self.name}


class SubjectNetwork(OfSubject, NetworkRun):
    """A network that predicts one subject's targets alone: other readouts are not computed."""

    whole: NetworkRun

    def __init__(self, rundir: SubjectDirectory, experiment: Any, predicts: str | None = None):
        super().__init__(rundir, experiment, predicts)
        self._all = self.task
        self._columns = {one.name: columns_of(one, self.name) for one in self.task.objectives}
        own = tuple(_own(one, self._columns[one.name]) for one in self.task.objectives)
        self.task = replace(self.task, objectives=own)

    @cached_property
    def recipe(self) -> Recipe:
        """The network is that of all subjects; truth and outputs are this one's."""
        seen = input_of(self.experiment, self._all, run=str(self.rundir.path))
        found = recalled(self.experiment, self._all, seen)
        return replace(found, task=self.task, input=replace(seen, task=self.task))  # type: ignore[type-var]

    @cached_property
    def _own(self) -> np.ndarray:
        """Positions of its labelled samples among those of all subjects."""
        return np.flatnonzero(self.whole.as_it_is.train.columns["subject"] == self.name)

    @cached_property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """As all subjects' samples were divided."""
        learn, validate = (
            np.searchsorted(self._own, side[np.isin(side, self._own)]) for side in self.whole.positions
        )
        return learn, validate

    @cached_property
    def _portions(self) -> dict[str, Portion]:
        """Views of those of all subjects, whose images are decoded, or features made, once."""
        sides = zip(self.whole._portions.items(), self.whole.positions, strict=True)
        return {
            split: self._of(portion, np.flatnonzero(np.isin(side, self._own)))
            for (split, portion), side in sides
        }

    def _of(self, portion: Portion, rows: np.ndarray) -> Portion:
        """Some rows of all subjects' samples, with its own targets as truth."""
        columns = {
            name: self._columns[one.name]
            for one in self._all.objectives
            for name in (one.name, one.taught_name)
        }
        truth = {
            name: _own_truth(taken(values, rows), columns[name]) for name, values in portion.truth.items()
        }
        return replace(_taken(portion, rows), truth=truth, label=None, batch_of=None)

    def put(self, variables: Variables, layout: Layout | None = None) -> Variables:
        return super().put(replace(variables, constants=self._constants(variables)), layout)

    def untrained(self, checkpoint: Saved) -> Variables:
        found = self.whole.untrained(checkpoint)
        return replace(found, constants=self._constants(found))

    def _constants(self, variables: Variables) -> dict[str, Any]:
        """This subject's columns of those that objectives have by target."""
        found = dict(variables.constants)
        for one in self.task.objectives:
            columns = self._columns[one.name]
            for name in ("target_mean", "target_scale"):
                if columns is not None and (key := f"{one.prefix}{name}") in found:
                    found[key] = found[key][columns]
        return found

    def _unlabelled(self, samples: Samples, rows: np.ndarray) -> Portion:
        """Those to predict are decoded once for all subjects; features of labelled ones are those of all subjects."""
        if self._is_labelled(samples):
            return self.whole._unlabelled(self.whole.as_it_is.train, self._own[rows])
        if "test" not in self.__dict__ or samples is not self.test[0]:  # images of the user's own
            return super()._unlabelled(samples, rows)
        subject = self.whole.test_samples().columns["subject"]
        own = np.flatnonzero(subject == self.name)
        return _taken(self.whole.seen_test, own[rows])

    def _validated(self, checkpoint: Saved) -> dict[str, Any]:
        return {}  # what training has are scores of all subjects

    def _record(self, checkpoints: Iterable[Saved], scores: Any) -> None:
        """The run's records are of all subjects."""


class _SubjectStudy(OfSubject):
    @cached_property
    def runs(self) -> Mapping[str, Run]:
        return {name: of_subject(run, self.name) for name, run in self.whole.runs.items()}


class SubjectFolds(_SubjectStudy, FoldsRun):
    """Folds that predict one subject."""


class SubjectSeeds(_SubjectStudy, SeedsRun):
    """Seeds that predict one subject."""


class SubjectRidge(OfSubject, RidgeRun):
    """One subject's regression."""

    whole: RidgeRun

    @cached_property
    def objectives(self) -> tuple[Resolved, ...]:
        return tuple(_own(one, columns_of(one, self.name)) for one in self.whole.objectives)

    @property
    def by_subject(self) -> Mapping[str, RidgeRun]:
        return {"": self}

    @property
    def rows(self) -> np.ndarray:
        return own_rows(self.experiment, self.whole.as_it_is.train, self.name)

    def checkpoint(self, which: Which = "best") -> Saved:
        return self.whole.checkpoint(which)

    def kept_scores(self) -> dict[str, Any]:
        return dict(self.checkpoint().meta()["ridge"]["scores"][self.name])

    @property
    def encoders(self) -> tuple[Loaded, ...]:
        return self.whole.encoders

    def _predict(self, samples: Samples, rows: np.ndarray, which: Which | None) -> np.ndarray:
        fitted, train = self.whole.held(which)
        assert isinstance(fitted, FittedSubjects)
        if not self._is_labelled(samples):
            return fitted.of(self.name, features(self.encoders, samples, rows), train)
        place = fitted.rows[self.name][np.searchsorted(self.rows, rows)]
        return fitted.of(self.name, self.whole.learned.of(place), train)


_KINDS: Mapping[type[Run], type[OfSubject]] = {
    NetworkRun: SubjectNetwork,
    RidgeRun: SubjectRidge,
    FoldsRun: SubjectFolds,
    SeedsRun: SubjectSeeds,
}


def columns_of(objective: Resolved, subject: str) -> np.ndarray | None:
    """Positions of the subject's targets in an objective; None of one whose targets all subjects share, as a column."""
    if not objective.by_subject:
        return None
    return np.array(subjects_in(objective.targets).get(subject, []), np.intp)


def _own(one: Resolved, columns: np.ndarray | None) -> Resolved:
    """The objective of one subject; its outputs are the same columns of the network's."""
    if columns is None:
        return one
    names = tuple(without_subject(one.targets[k]) for k in columns.tolist())
    origin = None if one.origin is None else one.origin[columns]
    return replace(one, targets=names, first=one.first + int(columns[0]), origin=origin)


def _own_truth(truth: Targets, columns: np.ndarray | None) -> Targets:
    return truth if columns is None or truth.ndim == 1 else of_columns(truth, columns)


def _taken(portion: Portion, rows: np.ndarray) -> Portion:
    """Some rows of samples, to predict."""
    return replace(portion, ids=portion.ids[rows], rows=_rows(portion.rows, rows))


def _rows(images: ImageRows, rows: np.ndarray) -> Any:
    if isinstance(images, Asked):
        tokens = replace(images.tokens, rows=images.tokens.rows[rows])
        return replace(images, images=_rows(images.images, rows), tokens=tokens)
    if isinstance(images, SharedImages):
        return SharedImages(images.images, images.rows[rows])
    return images[rows] if images.ndim == 1 else SharedImages(images, rows)
