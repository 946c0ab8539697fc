"""A search as a run: it predicts with its best trial, and says what all of them came to."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from jaxlab.core.terminal import stderr_console
from jaxlab.data.source import Source
from jaxlab.experiment.search import Search
from jaxlab.runs.predicts_as import PredictsAs
from jaxlab.runs.run import NamedScores, Run, Which
from jaxlab.runs.search import records
from jaxlab.runs.search.params import settings
from jaxlab.runs.search.storage import JOURNAL
from jaxlab.training.checkpoint import Saved
from jaxlab.training.rundir import RunDirectory

if TYPE_CHECKING:
    import pandas as pd


class SearchRun(PredictsAs):
    """The trials of a search, of which the best by validation predicts."""

    @classmethod
    def load(cls, rundir: RunDirectory, experiment: Any) -> Self:
        """As every run. Raises UserError where no trial has come to its end yet."""
        found = cls(rundir, experiment)
        records.best_of(experiment, rundir.path)
        found.warn_of_others()
        return found

    def warn_of_others(self) -> None:
        """Where a database lists trials of other directories too, the best one here need not be the best of all."""
        here = len(records.trials_in(self.rundir.path))
        if self.info["search"]["storage"] != JOURNAL and here < (total := self.experiment.total):
            stderr_console().print(
                f"warning: {self.rundir.path} has {here} of the {total} trials of its search, of which the best is "
                "taken; other directories may have a better one, which the `jaxlab sweep` that trained them names",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

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
    def predictor(self) -> Run:
        return self.best

    @property
    def source(self) -> Source:
        return self.best.source

    def checkpoint(self, which: Which = "best") -> Saved:
        return self.best.checkpoint(which)

    @property
    def network(self) -> Any:
        return self.best.network

    def evaluate_checkpoints(self, which: Any = None) -> dict[Any, dict[str, NamedScores]]:
        return self.best.evaluate_checkpoints(which)

    def evaluation(self, which: Any = None) -> dict[Any, dict[str, NamedScores]]:
        return self.best.evaluation(which)
