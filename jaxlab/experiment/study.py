"""A study: a plan that names variants of one experiment, each trained as a run in a directory of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from jaxlab.core.config import Component, override
from jaxlab.experiment.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Study(Component):
    """Base of the plans. experiment: what is varied; settings from the command line are its fields."""

    experiment: Experiment = Experiment()

    def variants(self) -> dict[str, Experiment]:
        """{name of the run's directory inside the study's: its experiment}, in the order of training."""
        raise NotImplementedError

    def title(self, number: int) -> str:
        """What variant `number`, from 0, is called while it trains."""
        return f"{number + 1} of {len(self.variants())}"

    def overridden(self, settings: Iterable[str]) -> Self:
        return replace(self, experiment=override(self.experiment, settings))

    def smoke(self) -> Self:
        """The same made tiny."""
        return replace(self, experiment=self.experiment.smoke())
