"""A study: a plan that names variants of one experiment, each trained as a run in a directory of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.experiment.experiment import Experiment

C = TypeVar("C", bound=Component)


@dataclass(frozen=True, kw_only=True)
class Study(Component):
    """Base of the plans.

    experiment: what is varied, itself perhaps a study; settings from the command line are fields of the innermost one.
    """

    experiment: Component = Experiment()

    def variants(self) -> dict[str, Any]:
        """{name of the run's directory inside the study's: its config}, in the order of training."""
        raise NotImplementedError

    def title(self, number: int) -> str:
        """What variant `number`, from 0, is called while it trains."""
        return f"{number + 1} of {len(self.variants())}"

    @property
    def trainings(self) -> int:
        """How many times the innermost experiment is trained."""
        return sum(getattr(one, "trainings", 1) for one in self.variants().values())

    def overridden(self, settings: Iterable[str]) -> Self:
        return replace(self, experiment=self.experiment.overridden(settings))

    def of(self, experiment: Component) -> Self:
        """The same plan of another experiment, as far as it goes with that."""
        return replace(self, experiment=experiment)

    def fewer(self) -> Self:
        """The same plan with few variants, for a smoke test or a trial."""
        return self

    def smoke(self) -> Self:
        """The same made tiny."""
        experiment: Any = self.experiment
        return self.of(experiment.smoke()).fewer()


def innermost(config: Component) -> Any:
    """What is trained in the end: a config itself, of a study its experiment, of a study of studies theirs."""
    while isinstance(config, Study):
        config = config.experiment
    return config


def check_same_samples(config: Component, fields: Iterable[str], whose: str) -> None:
    """Raises UserError for a field that says which samples are scored, or what their truth is.

    Scores of experiments that differ in it are of different things, so that the better score is no better experiment.
    A ridge regression scores each sample out of fold, however they are divided.
    """
    divides = ("data", "limit", "split") if isinstance(innermost(config), Experiment) else ("data", "limit")
    for name in fields:
        if name.partition(".")[0] in divides:
            raise UserError(
                f"{whose}: expected fields that leave the scored samples as they are, found {name}: scores of other "
                "samples cannot be compared; set it for the whole study"
            )


def rewritten(config: C, change: Callable[[Any], Any]) -> C:
    """The same config, or study, of the changed innermost experiment."""
    if isinstance(config, Study):
        return config.of(rewritten(config.experiment, change))
    return change(config)
