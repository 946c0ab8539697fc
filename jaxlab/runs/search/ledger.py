"""Who trains which trial: the list of them in Optuna's storage, and a lock in each trial's directory.

A trial is listed under its number, as waiting, before anything else is done, then taken by whoever holds the lock in
its directory, given its settings, trained, and at last told of. A process may die between any two of these: the next
one that asks finds the trial listed and its lock free, and goes on with what is missing. No trial is listed twice, and
none with a number of `total` or more is begun, however many workers ask.
"""

import contextlib
import platform
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
from jaxlab.runs.search.params import distributions, settings, suggested
from jaxlab.runs.search.records import Elsewhere, Other, Trial, worth, worth_of
from jaxlab.runs.search.samplers import Sampler, pruner_of
from jaxlab.training.rundir import RunDirectory

_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
_STOPPED = "stopped"  # user attribute: the epoch at which a trial was given up
_FOLDER = "folder"  # user attribute: in which study directory a trial lies
_CONFIG = "config"  # of the study: the search that it is of
_DATA = "data"  # of the study: the fingerprint of its data; earlier versions kept none


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
    """The trials of one search, of which `rundir` has some: all, but where a database lists those of others too.

    Raises UserError where the storage cannot be reached, or has another search, or one on other data, under the name
    of the directory.
    """

    def __init__(self, search: Search, rundir: RunDirectory):
        info = rundir.info()
        self._search, self._folder, self._mark = search, rundir.path, str(info["search"]["mark"])
        self._where = storage.shown(search.storage)
        self._storage = storage.opened(search.storage, rundir.path)
        name, better = rundir.path.absolute().name, search.score.better
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
            self._check(name, info["data"]["fingerprint"])
            if search.storage is not None:
                where = f"{platform.node()}:{rundir.path.absolute()}"
                self._study.set_user_attr(_place(self._mark), where)
        self._restore()

    def _restore(self) -> None:
        """List as many trials as the directory has: the list was lost, as it may be, or has another name now.

        What the directory says of each is listed as they are looked at, which those that are left are first.
        """
        with alone(self._folder), storage.asking(self._where):
            last = max((trial.number for trial in records.trials_in(self._folder)), default=-1)
            for _ in range(len(self._study.get_trials(deepcopy=False)), last + 1):
                self._list()

    def _list(self) -> int:
        """The number of one more trial, which is listed as waiting."""
        waiting = create_trial(state=TrialState.WAITING, user_attrs={_FOLDER: self._mark})
        return self._trial(self._storage.create_new_trial(self._id, waiting)).number

    def _check(self, name: str, data: str) -> None:
        now = {_DATA: data, _CONFIG: short_hash(self._search)}
        if _CONFIG not in self._study.user_attrs and not self._study.get_trials(deepcopy=False):
            for key, value in now.items():
                self._study.set_user_attr(key, value)
        then, of = {_DATA: data, **self._study.user_attrs}, None
        if then.get(_CONFIG) != now[_CONFIG]:
            of = "of another config"
        elif then[_DATA] != data:
            of = f"on other data (fingerprint {then[_DATA]:.12}, here {data:.12})"
        if of is not None:
            raise UserError(
                f"{self._where} has a study {name!r} {of} already; give another --run, whose last part names the study"
            )

    # -- what is listed

    def listed(self) -> list[FrozenTrial]:
        """All trials that count, by number."""
        with storage.asking(self._where):
            trials = self._study.get_trials(deepcopy=False)
        total = self._search.total
        return [trial for trial in trials if trial.number < total]

    def elsewhere(self) -> Elsewhere:
        """What is not finished, and what others have finished."""
        listed = self.listed()
        ended = [trial for trial in listed if trial.state.is_finished()]
        others = [trial for trial in ended if trial.user_attrs.get(_FOLDER) != self._mark]
        return Elsewhere(len(listed) - len(ended), len(others), self._best(others))

    def _best(self, trials: list[FrozenTrial]) -> Other | None:
        scored = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
        if not scored:
            return None
        best = max(scored, key=lambda trial: worth_of(self._search, trial.value or 0.0))
        mark = best.user_attrs.get(_FOLDER, "?")
        with storage.asking(self._where):
            where = self._study.user_attrs.get(
                _place(mark), f"the directory whose run.json has the mark {mark}"
            )
        return Other(best.number, best.params, best.value or 0.0, where)

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
        ours = [trial for trial in self.listed() if trial.user_attrs.get(_FOLDER) == self._mark]
        left = [trial.number for trial in ours if not trial.state.is_finished()]
        for number in sorted(left, key=self._is_new):  # stable
            if found := self._held(number, held):
                return found
        return None

    def _directory(self, number: int) -> Path:
        return self._folder / records.directory_name(number)

    def _is_new(self, number: int) -> bool:
        """Whether its settings are yet to be chosen, given all that is known of others."""
        return not (self._directory(number) / records.FILE).is_file()

    def _new(self, held: contextlib.ExitStack) -> Taken | None:
        while len(self.listed()) < self._search.total:
            with storage.asking(self._where):
                number = self._list()
            if number < self._search.total and (found := self._held(number, held)):
                return found  # else others were faster, elsewhere: the trial waits until there are to be more
        return None

    def _held(self, number: int, held: contextlib.ExitStack) -> Taken | None:
        """The trial, if nobody else has it and it is still to be trained."""
        directory = self._directory(number)
        mine = contextlib.ExitStack()
        try:
            mine.enter_context(locked(directory / "lock", directory, patient=False))
        except InUse:
            return None
        with mine, storage.asking(self._where):
            identity = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
            before = self._trial(identity)
            if before.state.is_finished():
                return None
            if before.state == TrialState.WAITING:
                self._storage.set_trial_state_values(identity, TrialState.RUNNING)
            if (kept := records.read(directory)) is not None:
                self._list_settings(identity, before, kept)
                if kept.state != "running":  # its process had died before it told so, or the list was lost
                    self.tell(kept)
                    return None
            asked = optuna.trial.Trial(self._study, identity)
            params = suggested(asked, self._search.space)
            held.push(mine.pop_all())
        stopped = before.user_attrs.get(_STOPPED)
        again = before.state != TrialState.WAITING or kept is not None
        return Taken(number, params, directory, again, stopped, asked)

    def _trial(self, identity: int) -> FrozenTrial:
        return self._storage.get_trial(identity)

    def _list_settings(self, identity: int, listed: FrozenTrial, kept: Trial) -> None:
        """Those that the trial's directory has and the list has not. Raises UserError for those of another search."""
        settings(self._search.space, kept.params)
        for name, one in distributions(self._search.space).items():
            if name not in listed.params:
                inner = one.to_internal_repr(kept.params[name])
                self._storage.set_trial_param(identity, name, inner, one)

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


def _place(mark: str) -> str:
    """User attribute of the study: where the directory with this mark is."""
    return f"{_FOLDER} {mark}"
