"""Runs that predict as another run does: a search as its best trial, an ablation as its whole."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened
from jaxlab.objectives import Labelled, Resolved
from jaxlab.runs.ready import Ready
from jaxlab.runs.run import NamedScores, Run, UserImages, Which
from submit import Predictions


class PredictsAs(Run):
    """Whatever is asked of its predictions and scores, `predictor` answers."""

    @property
    @abstractmethod
    def predictor(self) -> Run: ...

    @property
    def usual(self) -> Which:  # type: ignore[override]
        return self.predictor.usual

    @property
    def objectives(self) -> tuple[Resolved, ...]:
        return self.predictor.objectives

    @property
    def opened(self) -> Opened:
        return self.predictor.opened

    @property
    def as_it_is(self) -> Opened:
        return self.predictor.as_it_is

    def subject(self, name: str) -> Run:
        return self.predictor.subject(name)

    @property
    def test(self) -> tuple[Samples | None, Path | None]:
        return self.predictor.test

    @property
    def members(self) -> Sequence[Run]:
        return self.predictor.members

    def given(self, images: UserImages) -> Samples:
        return self.predictor.given(images)

    def predicted(self, samples: Samples, which: Which | None = None) -> np.ndarray:
        return self.predictor.predicted(samples, which)

    def ready(self, which: Which | None = None, size: int = 16) -> Ready:
        return self.predictor.ready(which, size)

    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        """Those of the predictor, whose directory their provenance names."""
        return self.predictor.predict_split(split, which)

    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        return self.predictor.evaluate(which)

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        return self.predictor.recorded()

    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        return self.predictor.labelled(which, untrained)

    def before_training(self, split: str) -> Labelled | None:
        return self.predictor.before_training(split)
