"""Ridge regression as a run: fitted into a run directory, loaded from there, and predicting."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jaxlab.core.config import anchored, to_json
from jaxlab.core.plots import score_dots
from jaxlab.core.types import Samples, UserError
from jaxlab.data.images import first_readable
from jaxlab.data.levels import warn_of_dark
from jaxlab.data.source import Opened
from jaxlab.data.sources.users_images import given_samples
from jaxlab.encode import FeatureSet, Loaded, features, fresh, load_all
from jaxlab.encode.fitted import Fitted
from jaxlab.encode.joint import Joint, say_of_cache
from jaxlab.encode.ridge import BandScore, Outcome, Ridge, check_designs
from jaxlab.encode.shared import Subject
from jaxlab.encode.subjects import FittedSubjects, check_room, fit_subjects
from jaxlab.evaluate.scores import TargetScores, scores_of, scores_of_blocks, scores_over, target_scores
from jaxlab.experiment.inputs import changed_encoders, say
from jaxlab.metrics import over_targets
from jaxlab.objectives import Labelled, Objective, Regression, Resolved, resolved
from jaxlab.runs.checks import check_same, log_data
from jaxlab.runs.joined import check_alike
from jaxlab.runs.learned import learned_before
from jaxlab.runs.levels import levels_for, recorded_encoders, recorded_levels
from jaxlab.runs.ready import Ready, Shown, fitting, samples_of, sizes
from jaxlab.runs.ridge_subjects import (
    check_gaps,
    divided,
    report_subjects,
    together,
    training_rows,
    warn_of_penalties,
)
from jaxlab.runs.run import NamedScores, Run, UserImages, Which, numbers, record
from jaxlab.training import journal
from jaxlab.training.checkpoint import Checkpoints, Saved, saved
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, SubmissionError

_OBJECTIVES = {Regression.usual_truth: Objective()}  # of the data's targets; its head and loss play no part


def train_ridge(
    config: Ridge,
    rundir: RunDirectory,
    *,
    source: str | None = None,
    allow_config_change: bool = False,
    session: Session | None = None,
) -> Path:
    """Fit `config` into the run directory: its solution, out-of-fold predictions, scores by band and region.

    Raises UserError for anything wrong with the data, the config or the directory, before features are computed.
    """
    session = session or Session()
    if session.budget.limited:
        session.log("stop-after: does not apply to Ridge, which is fitted in one piece")
    opened = config.data.open()
    if opened.train.target is None:
        raise UserError(
            f"Ridge: expected targets that are numbers, but {type(config.data).__name__} has classes"
        )
    check_gaps(opened)
    rows = training_rows(config, opened.train)
    subjects = divided(config, opened, rows)
    if config.shared:
        check_room(len(rows))
    log_data(opened, resolved(_OBJECTIVES, dict.fromkeys(_OBJECTIVES, opened.targets))[0], session)
    encoders = load_all(
        config.encoders, levels_for(config, rundir, opened, session), recorded_encoders(rundir)
    )
    shapes = [encoder.shapes[layer] for encoder in encoders for layer in encoder.layers]
    for one in () if config.shared else subjects.values():
        check_designs(config, len(one.rows), shapes)
    for encoder in encoders:
        session.log(f"encoder {encoder.about}")
    for line in learned_before(config, opened, rows):
        session.log(line)
    info, hosts = _info(config, opened, encoders), session.hosts
    check_alike(info, hosts)
    if rundir.exists():
        check_same(config, rundir, info, allow_config_change, session)
        whole = not allow_config_change and _is_whole(RidgeRun(rundir, config), session)
        if hosts.gathered("whether it is fitted", f"{whole}")[0] == "True":
            session.log(f"{rundir.path}: is fitted already")
            return rundir.path
    joint = Joint(hosts, rundir.path / "fitting")
    say_of_cache(hosts, session.log)
    found = features(encoders, opened.train, rows, session.console)
    if config.shared and hosts.count > 1:
        session.log(
            "regressions that share are fitted by process 0; the others have helped with the features"
        )
    with session.console.status("ridge") as status:
        outcomes = fit_subjects(config, found, subjects, lambda what: status.update(f"ridge: {what}"), joint)
    if hosts.writes:
        rundir.create(to_json(anchored(config)), source, info)
        _keep(config, rundir, outcomes, subjects, opened)
        joint.end()
        if opened.subjects:
            report_subjects(session.console, config, outcomes, subjects)
        else:
            _report(session.console, config, outcomes[""], opened)
    hosts.meet("the solution is kept")
    return rundir.path


def _is_whole(run: "RidgeRun", session: Session) -> bool:
    """Whether fitting came to its end: what it writes last is there, of the solution on disk, which is undamaged."""
    if not saved(run.rundir.checkpoints):
        return False
    try:
        kept = [one.rundir.predictions("out_of_fold") for one in run.by_subject.values()]
        made_by = {Predictions.load(file).provenance.get("digest") for file in kept}
        if made_by == {run.checkpoint().meta()["digest"]}:
            return True
        session.log(f"{run.rundir.path}: its out-of-fold predictions are of another solution; fitting again")
    except (UserError, SubmissionError) as error:
        session.log(f"{run.rundir.path}: is not whole ({error}); fitting again")
    return False


def _info(config: Ridge, opened: Opened, encoders: tuple[Loaded, ...]) -> dict[str, Any]:
    records = [encoder.record() for encoder in encoders]
    dtype = str(first_readable(opened.train, np.arange(len(opened.train))).dtype)
    task = {
        "kind": opened.kind,
        "targets": list(opened.targets),
        "image_dtype": dtype,
        "encoders": records,
    }
    return record(task, config.fingerprint(opened), jax.local_device_count())


def _keep(
    config: Ridge,
    rundir: RunDirectory,
    outcomes: Mapping[str, Outcome],
    subjects: Mapping[str, Subject],
    opened: Opened,
) -> None:
    """The solution as a checkpoint, its scores, and the out-of-fold predictions."""
    fitted = together({name: one.fitted for name, one in outcomes.items()}, subjects)
    score = over_targets.mean(np.concatenate([one.rows[-1].score for one in outcomes.values()]))
    best = {"metric": "cross-validation", "value": score, "step": 0, "epoch": 0}
    progress = {"best": None if np.isnan(score) else best}
    blocks = {name: (one.out_of_fold, subjects[name].targets) for name, one in outcomes.items()}
    scores = {name: scores_of(*block, _ceiling(opened, name)) for name, block in blocks.items()}
    about = {**fitted.record(), **({"scores": scores} if opened.subjects else {})}
    meta = {"step": 0, "epoch": 0, "progress": progress, "ridge": about}
    checkpoints = Checkpoints(rundir.checkpoints)
    checkpoints.save(fitted.to_arrays(), meta)
    checkpoints.close()
    records = journal.Journal(rundir.path, -1)
    records.write(0, 0, "validation", scores_of_blocks(list(blocks.values()), opened.ceiling))
    records.close()
    whole = RidgeRun(rundir, config)
    whole.as_it_is = opened
    for name, run in whole.by_subject.items():
        outcome = outcomes[name]
        score_dots({row.name: row.mean for row in outcome.rows}, run.rundir.plot("bands"))
        ids = run.opened.train.ids[run.rows]
        predictions = run.named(ids, outcome.out_of_fold, "out_of_fold")
        predictions.save(run.rundir.predictions("out_of_fold"))  # last: it tells that all is there


def _ceiling(opened: Opened, subject: str) -> np.ndarray | None:
    return opened.subjects[subject].ceiling if subject else opened.ceiling


def _report(console: Console, config: Ridge, outcome: Outcome, opened: Opened) -> None:
    """Scores by band and by region; whether any is defined, and whether penalties end at the last ones tried."""
    title = f"{config.score}, {config.split.folds} folds pooled"
    table = Table("band", "mean", "median", "penalty", title=title, title_justify="left", box=None)
    for row in outcome.rows:
        values = (f"{value:.4f}" for value in (row.mean, over_targets.median(row.score)))
        table.add_row(Text(row.name), *values, f"{np.median(row.alpha):.3g}")
    console.print(table)
    if regions := {name: mask for name, mask in opened.rois.items() if mask.any()}:
        console.print(_by_region(outcome.rows, regions))
    warn_of_penalties(console, config, outcome.rows[-1])


def _by_region(rows: Sequence[BandScore], regions: Mapping[str, np.ndarray]) -> Table:
    """A line for each region: its targets, the mean score of what predicts, and the band that does best alone."""
    *bands, final = rows
    alone = ("best band", "alone") if bands else ()
    table = Table("region", "targets", Column(Text(final.name)), *alone, box=None)
    for name, mask in regions.items():
        cells: list[str | Text] = [f"{mask.sum():,}", f"{over_targets.mean(final.score[mask]):.4f}"]
        if bands:
            means = {band.name: over_targets.mean(band.score[mask]) for band in bands}
            best = max(means, key=lambda name: -np.inf if np.isnan(means[name]) else means[name])
            cells += [Text(best), f"{means[best]:.4f}"]
        table.add_row(Text(name), *cells)
    return table


class RidgeReady(Ready):
    """A ridge regression that predicts images as they come; their features are not kept."""

    def __init__(self, run: "RidgeRun", which: Which | None, size: int):
        super().__init__(run, which)
        self._sizes = sizes(size)
        self._encoders, (self._fitted, self._train) = run.encoders, run.solution(which)

    def predict(self, images: Sequence[Shown]) -> np.ndarray:
        size = fitting(len(images), self._sizes)
        made = fresh(self._encoders, samples_of(images, self.asks), size)
        return self._fitted.predict(made, self._train)


class RidgeRun(Run):
    """A fitted ridge regression. `experiment` may have its data elsewhere than when it was fitted."""

    @cached_property
    def objectives(self) -> tuple[Resolved, ...]:
        targets = tuple(self.info["task"]["targets"])
        return resolved(_OBJECTIVES, dict.fromkeys(_OBJECTIVES, targets), missing=self.experiment.data.pools)

    @cached_property
    def by_subject(self) -> "Mapping[str, RidgeRun]":
        """The run of each subject, where its data pool several; else itself, without a name."""
        found: Any = {name: self.subject(name) for name in self.subjects}
        return found or {"": self}

    @property
    def rows(self) -> np.ndarray:
        """Ascending positions of the labelled samples that it has learned from."""
        return training_rows(self.experiment, self.opened.train)

    def checkpoint(self, which: Which = "best") -> Saved:
        """The solution on disk; there is but one, of step 0. Raises UserError where it is damaged."""
        if which not in ("best", "last", 0):
            raise UserError(
                f"{self.rundir.path}: expected best, last or 0 of a ridge regression, found {which!r}"
            )
        checkpoint = saved(self.rundir.checkpoints)[-1]
        if (fault := checkpoint.fault()) is not None:
            raise UserError(f"{self.rundir.path}: the solution is damaged ({fault}); fit it again")
        return checkpoint

    def given(self, images: UserImages) -> Samples:
        return given_samples(images, self.info["task"]["image_dtype"])

    def predicted(self, samples: Samples, which: Which | None = None) -> np.ndarray:
        warn_of_dark(samples, recorded_levels(self.info["task"]), say)
        return self._predict(samples, np.arange(len(samples)), which)

    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        """Those out of fold are as fitting left them; it learns from all labelled samples."""
        self.refuse_several()
        if split == "out_of_fold":
            kept = Predictions.load(self.rundir.predictions(split))
            return self.named(kept.ids, kept.values, split)
        if split != "test":
            raise UserError(
                f"{self.rundir.path}: ridge regression learns from all labelled samples, so that there is no "
                f"{split} to predict; --split out_of_fold has each sample predicted by the folds that it is not in"
            )
        samples = self.test_samples()
        values = self.predicted(samples, which)
        return self.named(samples.ids, values, split, samples=self.test_fingerprint)

    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        """{"train": scores, "validation": those of the out-of-fold predictions}."""
        parts: dict[str, list[TargetScores]] = {}
        for run in self.by_subject.values():
            truth = run.primary.truth(run.opened.train)
            if truth is None:
                raise UserError(f"{self.rundir.path}: the data have no targets that are numbers")
            for one in run.labelled(which):
                parts.setdefault(one.split, []).append(target_scores(one.values, truth[one.rows]))
        return {split: scores_over(own, self.opened.ceiling) for split, own in parts.items()}

    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        """Of what it has learned, and out of fold, under the name "validation"."""
        if untrained:
            raise UserError(
                f"{self.rundir.path}: a ridge regression is fitted in one piece; it never was untrained"
            )
        self.refuse_several()
        rows = self.rows
        guessed = Predictions.load(self.rundir.predictions("out_of_fold"))
        if guessed.ids.tolist() != self.opened.train.ids[rows].tolist():
            raise UserError(
                f"{self.rundir.path}: its out-of-fold predictions are of other samples than the data's"
            )
        yield Labelled("train", rows, self._predict(self.opened.train, rows, which))
        yield Labelled("validation", rows, guessed.values)

    def evaluate_checkpoints(self, which: Any = None) -> dict[int, dict[str, NamedScores]]:
        self.has_its_data(self.fingerprint)
        return {0: self.evaluate(None if which == "all" else which)}

    def ready(self, which: Which | None = None, size: int = 16) -> Ready:
        return RidgeReady(self, which, size)

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        """{"last": {"out_of_fold": scores}}."""
        return {"last": {"out_of_fold": numbers(journal.validations(self.rundir.metrics).get(0, {}))}}

    def _predict(self, samples: Samples, rows: np.ndarray, which: Which | None) -> np.ndarray:
        fitted, train = self.solution(which)
        return fitted.predict(features(self.encoders, samples, rows), train)

    def solution(self, which: Which | None) -> tuple[Fitted | FittedSubjects, FeatureSet | None]:
        """What was fitted, and the features of the training rows, where predicting takes them."""
        checkpoint = self.checkpoint(self.usual if which is None else which)
        kind = FittedSubjects if self.experiment.data.pools else Fitted
        fitted = kind.from_arrays(checkpoint.arrays(), checkpoint.meta()["ridge"])
        return fitted, None if fitted.weights is not None else self.learned

    @cached_property
    def _held(self) -> dict[Which | None, tuple[Fitted | FittedSubjects, FeatureSet | None]]:
        return {}

    def held(self, which: Which | None) -> tuple[Fitted | FittedSubjects, FeatureSet | None]:
        """`solution`, read and checked once for all subjects."""
        if which not in self._held:
            self._held[which] = self.solution(which)
        return self._held[which]

    @cached_property
    def learned(self) -> FeatureSet:
        """The features of the training rows."""
        return features(self.encoders, self.opened.train, self.rows)

    @cached_property
    def encoders(self) -> tuple[Loaded, ...]:
        loaded = load_all(self.experiment.encoders, records=self.info["task"]["encoders"])
        records = [encoder.record() for encoder in loaded]
        if changes := changed_encoders(self.info["task"]["encoders"], records):
            raise UserError(
                f"{self.rundir.path} was fitted on features of other encoders: {'; '.join(changes)}. Encoders "
                "have to be as they were then; where weights lie may differ (--set encoders.0.model.pretrained=PATH)"
            )
        return loaded

    def named(self, ids: np.ndarray, values: np.ndarray, split: str, **more: Any) -> Predictions:
        """Values (n, t) with the names of samples and targets, and their provenance. more: of it."""
        scores = {"out_of_fold": self.kept_scores()}
        origin = self.origin(scores, step=0, digest=self.checkpoint().meta()["digest"], **more)
        return Predictions(ids, values, np.array(self.targets), self.primary.written, split, origin)

    def kept_scores(self) -> dict[str, Any]:
        """Those out of fold, as fitting left them."""
        return dict(journal.validations(self.rundir.metrics).get(0, {}))
