"""What a run directory says, read part by part: what cannot be read is a sentence, and the rest is shown."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from jaxlab.core.beside import trusting
from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.runs.checks import check_settings, recorded
from jaxlab.runs.kinds import kind_of
from jaxlab.runs.run import Run
from jaxlab.training import events, journal, notices
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.rundir import RunDirectory
from submit.errors import SubmissionError
from submit.metrics.table import SCORES, Score, headline_of

Read = TypeVar("Read")
Scores = dict[str, float | None]


@dataclass(eq=False)
class Reading:
    """A run, or a variant of a study, as its files have it.

    name: what it is called beside others. missing: sentences on what could not be read.
    config: config.json's experiment. experiment: the same as components, with settings. info: run.json.
    run: loaded, ready to predict. Each of them is None where it could not be.
    """

    rundir: RunDirectory
    name: str
    config: dict[str, Any] | None = None
    experiment: Component | None = None
    info: dict[str, Any] | None = None
    run: Run | None = None
    missing: list[str] = field(default_factory=list)

    def attempt(self, read: Callable[[], Read]) -> Read | None:
        """What `read` gives, or None and a sentence in `missing`."""
        try:
            return read()
        except (UserError, SubmissionError, OSError) as error:
            self.missing.append(str(error))
            return None

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Those of metrics.jsonl."""
        return self.attempt(lambda: journal.read(self.rundir.metrics)) or []

    @cached_property
    def notices(self) -> list[notices.Notice]:
        """What was amiss while it trained."""
        return self.attempt(lambda: notices.read(self.rundir.path)) or []

    @cached_property
    def checkpoints(self) -> list[Saved]:
        return self.attempt(lambda: saved(self.rundir.checkpoints)) or []

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The last checkpoint's; {} where there is none."""
        return (self.attempt(self.checkpoints[-1].meta) or {}) if self.checkpoints else {}

    @cached_property
    def seconds(self) -> float | None:
        """How long training took, of all processes that did it."""
        return events.seconds(self.rundir.path / "events")

    @cached_property
    def validations(self) -> dict[int, Scores]:
        """{step: scores}; without reading what each step left, of which long trainings have a lot."""
        return self.attempt(lambda: journal.validations(self.rundir.metrics)) or {}

    @cached_property
    def headline(self) -> Score | None:
        """The score to show, where there is a validation that has one."""
        names = dict.fromkeys(name for scores in self.validations.values() for name in scores)
        with contextlib.suppress(SubmissionError):
            return SCORES[headline_of(names)]
        return None

    @cached_property
    def best_step(self) -> int | None:
        """That of the best checkpoint, or where none says so, of the best validation."""
        step = ((self.meta.get("progress") or {}).get("best") or {}).get("step")
        if step in self.validations or not self.validations:
            return step
        if self.headline is None:
            return max(self.validations)
        score = self.headline
        of = {step: scores.get(score.name) for step, scores in self.validations.items()}
        known = {step: score.worth(value) for step, value in of.items() if value is not None}
        return max(known, key=lambda step: known[step]) if known else max(of)

    @property
    def scores(self) -> Scores:
        """The validation of `best_step`."""
        return self.validations.get(self.best_step, {}) if self.best_step is not None else {}

    @property
    def score(self) -> float | None:
        """The headline score of it."""
        return self.scores.get(self.headline.name) if self.headline is not None else None


def read(path: Path, name: str = "", settings: Iterable[str] = (), trust: bool = False) -> Reading:
    """Of a run directory. settings: as `jaxlab.load` has them.

    Raises UserError where `path` is no run directory, and for a setting that it does not take.
    """
    found = reading(RunDirectory(path), name or path.name or str(path))
    if found.config is None:
        raise UserError(found.missing[0])
    with trusting(trust):
        kept = found.attempt(lambda: recorded(found.rundir))
    if kept is not None:
        found.experiment = experiment = kept.overridden(settings)
        check_settings(path, kept, experiment)
        found.run = found.attempt(lambda: kind_of(experiment).run.load(found.rundir, experiment))
    return found


def reading(rundir: RunDirectory, name: str) -> Reading:
    """Of what the files say alone."""
    found = Reading(rundir, name)
    found.config = found.attempt(rundir.config)
    found.info = found.attempt(rundir.info)
    return found
