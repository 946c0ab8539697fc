"""A search: an experiment trained again and again, each time with other settings, to find the best ones."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, NoReturn, Self

from jaxlab.core.config import AMOUNT, DERIVED, Component, assigned, value_at
from jaxlab.core.types import Kind, UserError
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.folds import in_folds
from jaxlab.experiment.over import spaces
from jaxlab.experiment.seeds import over_seeds
from jaxlab.experiment.spaces import Space, grid_size, label, space_size
from jaxlab.experiment.study import Study, check_same_samples, innermost, rewritten
from submit.errors import SubmissionError
from submit.metrics.table import Score, headline, score_of

USUAL_TRIALS = 40
_MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Search(Study):
    """`experiment` trained `trials` times, each time with settings from `space`, to find the best by validation.

    The experiment may be a `Folds` (a trial's score is then out of fold), a `Seeds` (their mean) or a `Ridge`.
    space: {field, as --set names it: what it may be}, as {"optimizer.lr": Log(1e-5, 1e-2), "model.depth": Choice(18,
        34)}. Not of data, split and limit, by which trials would be scored on other samples.
    trials: how many at most, over all workers and restarts. Default all of a grid, else 40; where the space has fewer
        settings, as many as there are.
    sampler: how settings are chosen. "grid" takes each combination in turn, "random" any, "tpe" prefers what did well
        so far (Bergstra et al. 2011, of several fields together), "nevergrad" or "nevergrad:NAME" asks one of
        nevergrad's optimizers (default NGOpt).
    pruner: what stops a trial at an epoch's end. "median": its best validation score so far is below the median of
        others' at that epoch, once five have come to their end and the trial has made a quarter of its epochs (Golovin
        et al. 2017). "hyperband": it is not among the best third of those that came as far (Li et al. 2018). "auto":
        "median", and none for a grid. None: none. Of folds and seeds the first alone is stopped.
    metric: the validation score that is searched for; default the experiment's own `training.metric`.
    seed: of the sampler.
    keep: of a complete trial's checkpoints "all", or those for "predicting": the best and the last, without optimizer
        state, a third of their size or less. A trial that was stopped keeps all.
    storage: where the trials are listed. Default a journal in the study's directory, which several workers on one disk
        share; a database's URL for workers that share none. No part of config.json: a URL may hold a password.
    """

    space: dict[str, Space] = field(default_factory=dict, hash=False)
    trials: int | None = field(default=None, metadata=AMOUNT)
    sampler: str = "tpe"
    pruner: Literal["auto", "median", "hyperband"] | None = "auto"
    metric: str | None = None
    seed: int = 0
    keep: Literal["all", "predicting"] = field(default="all", metadata=AMOUNT)
    storage: str | None = field(default=None, metadata=DERIVED)

    def check(self) -> None:
        if self.trials is not None and not 1 <= self.trials <= _MOST:
            raise UserError(f"Search.trials: expected 1 to {_MOST:,}, found {self.trials!r:.60}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"Search.seed: expected 0 to 2**32 - 1, found {self.seed!r:.60}")
        if re.fullmatch(r"grid|random|tpe|nevergrad(:\w+)?", self.sampler) is None:
            known = "grid, random, tpe, nevergrad or nevergrad:NAME"
            raise UserError(f"Search.sampler: expected {known}, found {self.sampler!r}")
        if isinstance(self.experiment, Search):
            raise UserError("Search.experiment: expected what a trial trains, found another Search")
        if not self.space:
            return  # of a config that the command line completes
        self._check_values()
        if self.sampler == "grid":
            self._check_grid()
        if self.score.name == "loss" and (other := self._of_the_loss()):
            raise UserError(
                f"Search.metric: loss is another one in each trial, as {other[0]} is searched, so that it cannot be "
                "compared; expected another score, as --metric pearson or --metric accuracy"
            )

    def _of_the_loss(self) -> list[str]:
        return [name for name in self.space if name.partition(".")[0] in ("loss", "objectives")]

    def _check_values(self) -> None:
        """Raises UserError for a field that is not there, and for a value that it does not take."""
        inner = innermost(self.experiment)
        for name in self.space:
            value_at(inner, name)
        check_same_samples(self.experiment, self.space, "Search.space")
        first = {name: one.ends()[0] for name, one in self.space.items()}
        for name, one in self.space.items():
            for value in one.ends():
                self._check_value(name, value, first)

    def _check_value(self, name: str, value: Any, first: Mapping[str, Any]) -> None:
        """A value may contradict another field as the config has it, and go with what that is searched among."""
        try:
            self.variant({name: value})
        except UserError as refused:
            try:
                self.variant({**first, name: value})
            except UserError:
                whole = type(value) is float and type(value_at(innermost(self.experiment), name)) is int
                hint = "; whole numbers are int(8,64), or a list, 8,16,32" if whole else ""
                raise UserError(f"Search.space: {name}={label(value)}: {refused}{hint}") from None

    def _check_grid(self) -> None:
        open_ended = [name for name, one in self.space.items() if one.listed() is None]
        if open_ended:
            one = self.space[open_ended[0]]
            low, high = one.ends()
            kind = type(one).__name__
            raise UserError(
                f"Search.space: a grid needs to know how many values of {open_ended[0]}: {kind}({low!r}, {high!r}, 5), "
                f"on the command line {kind.lower()}({low!r},{high!r},5), has five"
            )

    # -- what follows from the fields

    @property
    def total(self) -> int:
        """Trials of the whole search."""
        size = grid_size(self.space) if self.sampler == "grid" else space_size(self.space)
        asked = self.trials or (size if self.sampler == "grid" else None) or USUAL_TRIALS
        return asked if size is None else min(asked, size)

    @property
    def trainings(self) -> int:
        return self.total * getattr(self.experiment, "trainings", 1)

    @property
    def pruned_by(self) -> str | None:
        """The pruner, "auto" resolved."""
        return (None if self.sampler == "grid" else "median") if self.pruner == "auto" else self.pruner

    @property
    def epochs(self) -> float | None:
        """Of a trial's network; None where they are not known beforehand."""
        training = getattr(innermost(self.experiment), "training", None)
        return getattr(training, "epochs", None)

    @property
    def searched(self) -> str:
        """The name of the validation score that is searched for."""
        inner = innermost(self.experiment)
        asked: str | None = self.metric or getattr(getattr(inner, "training", None), "metric", None)
        goals = getattr(inner, "goals", None)  # a ridge regression has none: it predicts numbers
        kind: Kind = next(iter(goals.values())).loss.kind if goals else "regression"
        return asked or headline(kind).name

    @property
    def score(self) -> Score:
        """What is known of that score. Raises UserError for one that tells nothing of quality, or is none."""
        try:
            found = score_of(self.searched.rpartition("/")[2])
        except SubmissionError as error:
            raise UserError(f"Search.metric: {error}") from None
        if found.better is None:
            raise UserError(f"Search.metric: {found.name} tells nothing of quality; choose another score")
        if not isinstance(innermost(self.experiment), Experiment) and found.kind != "regression":
            raise UserError(f"Search.metric: expected a score of numbers, as pearson, found {found.name}")
        return found

    def variant(self, settings: Mapping[str, Any]) -> Component:
        """The experiment with these settings, {field: value}. Raises UserError where they do not go together."""
        return rewritten(self.experiment, partial(assigned, values=settings))

    # -- as a study

    def variants(self) -> NoReturn:
        raise UserError(
            "Search: which trials there are, the search finds out; expected an experiment in its place"
        )

    def of(self, experiment: Component) -> Self:
        """Without the fields of the space that it has not, or that take other values there."""
        kept: dict[str, Space] = {}
        for name, one in self.space.items():
            with contextlib.suppress(UserError):
                replace(self, experiment=experiment, space={name: one})
                kept[name] = one
        return replace(self, experiment=experiment, space=kept)

    def fewer(self) -> Self:
        """Listed in its own directory: in a database, a second smoke test would find the trials of the first."""
        return replace(self, trials=2, storage=None)


def searching(config: Component, over: Iterable[str] = (), **fields: Any) -> Search:
    """The search that a command line asks for: of a config, or of a search with what is said anew.

    over: FIELD=SPACE. fields: of the search; None leaves one as it is, and the pruner "none" is none.
    Raises UserError for a search of nothing, and as `spaces` and `Search` do.
    """
    search = config if isinstance(config, Search) else Search(experiment=config)
    space = {**search.space, **spaces(search.experiment, over)}
    if not space:
        raise UserError(
            "sweep: expected what to search among, as --over optimizer.lr=log(1e-5,1e-2) --over model.depth=18,34, or "
            "a config with experiment = Search(...)"
        )
    given = {name: value for name, value in fields.items() if value is not None}
    if given.get("pruner") == "none":
        given["pruner"] = None
    return replace(search, space=space, **given)


def within_search(search: Search, folds: int | None, seeds: int | None) -> Search:
    """With each trial in so many folds, or with so many seeds."""
    experiment = search.experiment if folds is None else in_folds(search.experiment, folds)
    return replace(search, experiment=over_seeds(experiment, seeds))
