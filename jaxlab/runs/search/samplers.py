"""Which settings come next, given what is known of the trials so far.

A setting is a function of the search's seed, the trial's number and the trials that are listed: no worker keeps a
state of its own, so that it does not matter which of them asks, or how often one was started.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from jaxlab.experiment.search import Search
from jaxlab.experiment.spaces import all_settings, grid_settings, space_size
from jaxlab.runs.search.nevergrad import USUAL, replayed
from jaxlab.runs.search.params import distributions, params

_ATTEMPTS = 20  # at settings that no other trial has

Proposer = Callable[[Study, FrozenTrial, int], dict[str, Any]]  # a study, a trial, a seed -> its parameters


class Sampler(BaseSampler):
    """Optuna's view of a search's sampler: all parameters at once, those of no other trial as far as there are any."""

    def __init__(self, search: Search):
        self._search = search
        self._distributions = distributions(search.space)
        name, _, optimizer = search.sampler.partition(":")
        proposers: dict[str, Proposer] = {
            "grid": self._grid,
            "random": self._random,
            "tpe": self._tpe,
            "nevergrad": lambda study, trial, _: replayed(search, optimizer or USUAL, study, trial),
        }
        self._propose = proposers[name]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {} if self._distributions.keys() <= trial.params.keys() else self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        study = _whole(study)
        others = [one.params for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        found: dict[str, Any] = {}
        for attempt in range(_ATTEMPTS):
            before, found = (
                found,
                self._propose(study, trial, _seed(self._search.seed, trial.number, attempt)),
            )
            if found not in others:
                return found
            if found == before:  # it has no other
                break
        return self._unseen(others) or self._random(
            study, trial, _seed(self._search.seed, trial.number, _ATTEMPTS)
        )

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._propose(_whole(study), trial, _seed(self._search.seed, trial.number, 0))[param_name]

    def _unseen(self, others: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The first settings that no trial has, of a space whose settings can be counted."""
        space = self._search.space
        if space_size(space) is None:
            return None
        for values in all_settings(space):
            found = params(space, dict(zip(space, values, strict=True)))
            if found not in others:
                return found
        return None

    def _grid(self, study: Study, trial: FrozenTrial, seed: int) -> dict[str, Any]:
        space = self._search.space
        return params(space, grid_settings(space, trial.number))

    def _random(self, study: Study, trial: FrozenTrial, seed: int) -> dict[str, Any]:
        return self._asked(RandomSampler(seed=seed), study, trial)

    def _tpe(self, study: Study, trial: FrozenTrial, seed: int) -> dict[str, Any]:
        return self._asked(TPESampler(seed=seed, multivariate=True, constant_liar=True), study, trial)

    def _asked(self, sampler: BaseSampler, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """What one of Optuna's samplers makes of the trial, together where it can and else one by one."""
        together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))
        return {
            name: together[name] if name in together else sampler.sample_independent(study, trial, name, one)
            for name, one in self._distributions.items()
        }


def _whole(study: Study) -> Study:
    """The study with all of its trials: with Hyperband, Optuna shows a sampler those of one bracket, and that only once
    the process has stopped a trial, or tried to."""
    whole: Study = getattr(study, "_study", study)
    return whole


def pruner_of(search: Search) -> optuna.pruners.BasePruner:
    """What stops trials."""
    epochs = None if search.epochs is None else max(int(np.ceil(search.epochs)), 1)
    if search.pruned_by == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=max(-(-(epochs or 1) // 4), 1))
    if search.pruned_by == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs or "auto")
    return optuna.pruners.NopPruner()


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
