"""Who trains which trial: the list of them in Optuna's storage, and a lock in each trial's directory.

A trial is listed under its number, as waiting, before anything else is done, then taken by whoever holds the lock in
its directory, given its settings, trained, and at last told of. A process may die between any two of these: the next
one that asks finds the trial listed and its lock free, and goes on with what is missing. No trial is listed twice, and
none with a number of `total` or more is begun, however many workers ask.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from jaxlab.core.config import short_hash
from jaxlab.core.lock import InUse, locked
from jaxlab.core.types import UserError
from jaxlab.experiment.search import Search
from jaxlab.runs.search import records, storage
from jaxlab.runs.search.alone import alone
from jaxlab.runs.search.params import distributions, suggested
from jaxlab.runs.search.records import Trial
from jaxlab.runs.search.samplers import Sampler, pruner_of

_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
_STOPPED = "stopped"  # user attribute: the epoch at which a trial was given up
_FOLDER = "folder"  # user attribute: in which study directory a trial lies
_CONFIG = "config"  # of the study: the search that it is of


@dataclass
class Taken:
    """A trial that nobody else has. stopped: the epoch at which it was given up, if it was, by who had it before."""

    number: int
    params: dict[str, Any]
    directory: Path
    again: bool
    stopped: int | None
    asked: optuna.trial.Trial


class Ledger:
    """The trials of one search. folder: the study's directory; mark: what tells it from others, on other machines.

    name: of the study in a storage that others may share.
    Raises UserError where the storage cannot be reached, or has another search under that name.
    """

    def __init__(self, search: Search, folder: Path, mark: str, name: str):
        self._search, self._folder, self._mark = search, folder, mark
        self._where = storage.shown(search.storage)
        self._storage = storage.opened(search.storage, folder)
        better = search.score.better
        with storage.asking(self._where):
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize" if better == "higher" else "minimize",
                sampler=Sampler(search),
                pruner=pruner_of(search),
                load_if_exists=True,
            )
            self._id = self._storage.get_study_id_from_name(name)
            self._check(name)
        if search.storage is None:
            self._restore()

    def _restore(self) -> None:
        """List what directories have and the journal does not: it was lost, and may be."""
        with alone(self._folder), storage.asking(self._where):
            known = {trial.number: trial for trial in records.trials_in(self._folder)}
            listed = len(self._study.get_trials(deepcopy=False))
            for number in range(listed, max(known, default=-1) + 1):
                self._study.add_trial(self._as_listed(known.get(number)))

    def _as_listed(self, kept: Trial | None) -> FrozenTrial:
        ours = {_FOLDER: self._mark}
        if kept is None:
            return create_trial(state=TrialState.WAITING, user_attrs=ours)
        return create_trial(
            state=_STATES.get(kept.state, TrialState.RUNNING),
            value=_value(self._search, kept),
            params=kept.params,
            distributions=distributions(self._search.space),
            user_attrs=ours,
        )

    def _check(self, name: str) -> None:
        now, then = short_hash(self._search), self._study.user_attrs.get(_CONFIG)
        if then is None and not self._study.get_trials(deepcopy=False):
            self._study.set_user_attr(_CONFIG, now)
        elif then != now:
            raise UserError(
                f"{self._where} has a study {name!r} of another config already; give another --run, whose name it takes"
            )

    # -- what is listed

    def listed(self) -> list[FrozenTrial]:
        """All trials that count, by number."""
        with storage.asking(self._where):
            trials = self._study.get_trials(deepcopy=False)
        total = self._search.total
        return [trial for trial in trials if trial.number < total]

    def elsewhere(self) -> int:
        """How many trials are begun and not finished: others are at them, or have left them."""
        return sum(not trial.state.is_finished() for trial in self.listed())

    # -- one trial

    @contextlib.contextmanager
    def taken(self) -> Iterator[Taken | None]:
        """A trial to train, which is nobody else's while the block runs: one that was left, else a new one.

        None where there is none: all are done, or others are at them.
        """
        with contextlib.ExitStack() as held:
            with alone(self._folder):
                found = self._left(held) or self._new(held)
            yield found

    def _left(self, held: contextlib.ExitStack) -> Taken | None:
        for trial in self.listed():
            ours = trial.user_attrs.get(_FOLDER) == self._mark
            if ours and not trial.state.is_finished() and (found := self._held(trial.number, held)):
                return found
        return None

    def _new(self, held: contextlib.ExitStack) -> Taken | None:
        while len(self.listed()) < self._search.total:
            with storage.asking(self._where):
                waiting = create_trial(state=TrialState.WAITING, user_attrs={_FOLDER: self._mark})
                number = self._trial(self._storage.create_new_trial(self._id, waiting)).number
            if number < self._search.total and (found := self._held(number, held)):
                return found  # else others were faster, elsewhere: the trial waits until there are to be more
        return None

    def _held(self, number: int, held: contextlib.ExitStack) -> Taken | None:
        """The trial, if nobody else has it and it is still to be trained."""
        directory = self._folder / records.directory_name(number)
        mine = contextlib.ExitStack()
        try:
            mine.enter_context(locked(directory / "lock", directory, patient=False))
        except InUse:
            return None
        with mine, storage.asking(self._where):
            identity = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
            before = self._trial(identity)
            if before.state.is_finished() or self._was_finished(directory):
                return None
            if before.state == TrialState.WAITING:
                self._storage.set_trial_state_values(identity, TrialState.RUNNING)
            asked = optuna.trial.Trial(self._study, identity)
            params = suggested(asked, self._search.space)
            held.push(mine.pop_all())
        stopped = before.user_attrs.get(_STOPPED)
        return Taken(number, params, directory, before.state != TrialState.WAITING, stopped, asked)

    def _trial(self, identity: int) -> FrozenTrial:
        return self._storage.get_trial(identity)

    def _was_finished(self, directory: Path) -> bool:
        """Whether a trial had come to its end, and its process had died before it told so; now it is told."""
        kept = records.read(directory)
        if kept is None or kept.state == "running":
            return False
        self.tell(kept)
        return True

    def report(self, trial: Taken, epoch: int, value: float) -> bool:
        """Whether to give up the trial, of which this is the value after an epoch; if so, that is listed first."""
        with storage.asking(self._where):
            trial.asked.report(value, epoch)
            if not trial.asked.should_prune():
                return False
            trial.asked.set_user_attr(_STOPPED, epoch)
        return True

    def tell(self, kept: Trial) -> None:
        """List what came of a trial, as its directory has it. Once is enough, and twice does no harm."""
        value = _value(self._search, kept)
        with storage.asking(self._where):
            self._study.tell(kept.number, value, state=_STATES[kept.state], skip_if_finished=True)


def _value(search: Search, kept: Trial) -> float | None:
    return None if kept.state != "complete" or kept.score is None else worth(search, kept.score)


def worth(search: Search, score: float) -> float:
    """A score as the sampler takes it: of one that is best at 1, how far it is from there."""
    return abs(score - 1) if search.score.better == "near 1" else score
