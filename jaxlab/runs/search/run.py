"""A search as a run: it predicts with its best trial, and says what all of them came to."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened, Source
from jaxlab.experiment.search import Search
from jaxlab.objectives import Labelled, Resolved
from jaxlab.runs.ready import Ready
from jaxlab.runs.run import NamedScores, Run, UserImages, Which
from jaxlab.runs.search import records
from jaxlab.runs.search.params import settings
from jaxlab.training.checkpoint import Saved
from jaxlab.training.rundir import RunDirectory
from submit import Predictions

if TYPE_CHECKING:
    import pandas as pd


class SearchRun(Run):
    """The trials of a search, of which the best by validation predicts."""

    @classmethod
    def load(cls, rundir: RunDirectory, experiment: Any) -> Self:
        """As every run. Raises UserError where no trial has come to its end yet."""
        records.best_of(experiment, rundir.path)
        return cls(rundir, experiment)

    @cached_property
    def best(self) -> Run:
        """The run of the trial with the best score so far, as this one was loaded."""
        from jaxlab.runs.kinds import kind_of  # which has this kind, too

        search: Search = self.experiment
        trial = records.best_of(search, self.rundir.path)
        variant = search.variant(settings(search.space, trial.params))
        run = kind_of(variant).run.load(RunDirectory(self.rundir.path / trial.name), variant)
        return run.predicting(self.predicts) if self.predicts is not None else run

    def trials(self) -> "pd.DataFrame":
        """A row for each trial: its state, its score under the score's name, its settings, and its directory."""
        return records.table(self.experiment, records.trials_in(self.rundir.path))

    def importance(self) -> dict[str, float]:
        from jaxlab.runs.search.report import importance  # which has Optuna

        return importance(self.experiment, records.trials_in(self.rundir.path))

    # -- as its best trial has it

    @property
    def usual(self) -> Which:  # type: ignore[override]
        return self.best.usual

    @property
    def objectives(self) -> tuple[Resolved, ...]:
        return self.best.objectives

    @property
    def source(self) -> Source:
        return self.best.source

    @property
    def opened(self) -> Opened:
        return self.best.opened

    @property
    def test(self) -> tuple[Samples | None, Path | None]:
        return self.best.test

    @property
    def members(self) -> Sequence[Run]:
        return self.best.members

    def checkpoint(self, which: Which = "best") -> Saved:
        return self.best.checkpoint(which)

    @property
    def predictor(self) -> Run:
        return self.best

    @property
    def network(self) -> Any:
        return self.best.network

    def given(self, images: UserImages) -> Samples:
        return self.best.given(images)

    def predicted(self, samples: Samples, which: Which | None = None) -> np.ndarray:
        return self.best.predicted(samples, which)

    def ready(self, which: Which | None = None, size: int = 16) -> Ready:
        return self.best.ready(which, size)

    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        """Those of the best trial, whose directory their provenance names."""
        return self.best.predict_split(split, which)

    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        return self.best.evaluate(which)

    def evaluate_checkpoints(self, which: Any = None) -> dict[Any, dict[str, NamedScores]]:
        return self.best.evaluate_checkpoints(which)

    def evaluation(self, which: Any = None) -> dict[Any, dict[str, NamedScores]]:
        return self.best.evaluation(which)

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        return self.best.recorded()

    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        return self.best.labelled(which, untrained)

    def before_training(self, split: str) -> Labelled | None:
        return self.best.before_training(split)
