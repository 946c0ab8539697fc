"""A search: trials, one after another, until there are as many as it asks for.

Several of these may run at once, on one machine or many, in one directory; each may be killed at any moment.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from jaxlab.core.config import Component
from jaxlab.core.lock import InUse
from jaxlab.core.types import UserError
from jaxlab.experiment.search import Search
from jaxlab.runs.search import records, report, storage
from jaxlab.runs.search.alone import alone
from jaxlab.runs.search.begin import begin, leaf_of
from jaxlab.runs.search.judge import EpochJudge
from jaxlab.runs.search.ledger import Ledger, Taken
from jaxlab.runs.search.params import settings
from jaxlab.runs.search.records import Trial
from jaxlab.runs.search.thin import mend, thin
from jaxlab.training import journal
from jaxlab.training.budget import duration_text
from jaxlab.training.checkpoint import newest_good
from jaxlab.training.display import Session
from jaxlab.training.loop import Diverged
from jaxlab.training.rundir import RunDirectory

_IN_A_ROW = 3  # trials that fail for want of anything but luck, before the search itself is taken to be amiss


def train_search(
    search: Search,
    rundir: RunDirectory,
    *,
    source: str | None = None,
    allow_config_change: bool = False,
    session: Session | None = None,
) -> Path:
    """Train trials until there are all, then show what came of them. Arguments, result and errors as of `train`."""
    session = session or Session()
    source = None if source is None else storage.without_password(source, search.storage)
    begin(search, rundir, source, allow_config_change, session)
    ledger = Ledger(search, rundir)
    done = Worker(search, rundir, ledger, source, session).run()
    report.show(search, rundir, ledger.elsewhere(), session)
    if not done:
        session.log(
            f"stopped after {duration_text(session.budget.used)}, before the last trial; the same command goes on"
        )
    return rundir.path


class Worker:
    """One process of a search. source: text of the config file, which each trial keeps."""

    def __init__(
        self, search: Search, rundir: RunDirectory, ledger: Ledger, source: str | None, session: Session
    ):
        self._search, self._rundir, self._ledger = search, rundir, ledger
        self._source, self._session = source, session
        self._refused = 0  # trials in a row

    def run(self) -> bool:
        """Train what is to be trained; False where the time did not last."""
        while self._session.budget.allows(["start", "compile", "step", "checkpoint"]):
            with self._ledger.taken() as trial:
                if trial is None:
                    return True
                try:
                    kept = self._trained(trial)
                except KeyboardInterrupt:
                    self._session.log(
                        f"trial {trial.number} is left as it is; the same command goes on with it"
                    )
                    raise
                if kept is None:
                    return False
                kept.write(trial.directory)  # before it is told: what is here counts
                self._ledger.tell(kept)
            self._show(kept)
            jax.clear_caches()  # the next one has other settings, so that it shares no program
        return False

    def _show(self, kept: Trial) -> None:
        with alone(self._rundir.path):
            trials = records.trials_in(self._rundir.path)
            records.write_table(self._search, self._rundir.path, trials)
        best = records.ranked(self._search, trials)[:1]
        self._session.log(report.line(self._search, kept, kept.number in [one.number for one in best]))
        if self._refused == _IN_A_ROW:
            raise UserError(
                f"{self._rundir.path}: {_IN_A_ROW} trials in a row could not be trained, the last one for this: "
                f"{kept.reason}"
            )

    def _trained(self, trial: Taken) -> Trial | None:
        """What came of the trial; None where there was no time to finish it."""
        begun = records.read(trial.directory) or Trial(
            number=trial.number, state="running", params=trial.params, metric=self._search.searched
        )
        if begun.params != trial.params:
            raise UserError(
                f"{trial.directory / records.FILE}: expected the settings that the trial is listed with, "
                f"{trial.params}, found {begun.params}; give another --run"
            )
        begun.write(trial.directory)
        found = self._outcome(trial)
        self._refused = self._refused + 1 if found.pop("refused", False) else 0
        return replace(begun, **found, ended=records.now()) if found else None

    def _outcome(self, trial: Taken) -> dict[str, Any]:
        """The fields of a finished trial; {} of one that is not finished."""
        try:
            variant = self._search.variant(settings(self._search.space, trial.params))
            return self._run(variant, trial)
        except Diverged as error:
            return {"state": "failed", "reason": str(error)}
        except UserError as error:
            if _is_the_systems(error):
                raise
            return {"state": "failed", "reason": str(error), "refused": True}
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return {"state": "failed", "reason": f"out of memory ({str(error).splitlines()[0]:.200})"}

    def _run(self, variant: Component, trial: Taken) -> dict[str, Any]:
        from jaxlab.runs.kinds import kind_of  # which has this kind, too

        kind, directory = kind_of(variant), RunDirectory(trial.directory)
        leaf = RunDirectory(leaf_of(variant, trial.directory)[1])
        mend(trial.directory)
        with self._aside(trial) as session:
            session.judge = judge = EpochJudge(self._search, self._ledger, trial, session)
            if trial.stopped is None or _epoch(leaf) < trial.stopped:
                kind.train(variant, directory, source=self._source, session=session)
            else:
                judge.ended = judge.why
            if self._session.budget.stopped:
                return {}
            if judge.ended is not None:
                last = journal.read(leaf.metrics, "validation")[-1]
                whole = leaf.path == trial.directory  # a first fold's score is none of all folds'
                score = last.get(self._search.searched) if whole else None
                return {"state": "stopped", "score": score, "epoch": last["epoch"], "reason": judge.ended}
            return self._scored(kind.run.load(directory, variant))

    def _scored(self, run: Any) -> dict[str, Any]:
        recorded, name = run.recorded(), self._search.searched
        by_split = recorded.get(run.usual) or recorded.get("last", {})
        scores: Mapping[str, float] = next(
            (by_split[split] for split in ("out_of_fold", "validation") if split in by_split), {}
        )
        score = scores.get(name, math.nan)
        if math.isnan(score):
            words = "a single validation sample, or targets or predictions that are constant there"
            return {"state": "failed", "reason": f"its {name} is undefined ({words})"}
        if self._search.keep == "predicting":
            thin(run)
        return {"state": "complete", "score": score}

    @contextlib.contextmanager
    def _aside(self, trial: Taken) -> Iterator[Session]:
        """Where a trial tells of its epochs: in a file of its own, so that the search's lines stay together."""
        title = f"trial {trial.number}"
        again = ", which goes on from its last checkpoint" if trial.again else ""
        self._session.once(f"each trial's epochs are told in {self._rundir.path}/trial0000/log.txt and so on")
        shown = report.settings_text(self._search, trial.params)
        with self._session.console.status(f"{title}  {shown}"):
            if again:
                self._session.log(f"{title}  {shown}{again}")
            with (trial.directory / "log.txt").open("a", encoding="utf-8") as file:
                yield Session(Console(file=file, width=100), self._session.budget, title)


def _epoch(leaf: RunDirectory) -> int:
    """Of its newest checkpoint; 0 where there is none."""
    found = newest_good(leaf.checkpoints, lambda line: None)
    return int(found.meta()["epoch"]) if found is not None else 0


def _is_the_systems(error: BaseException) -> bool:
    """Whether a disk, a lock or another machine is to blame, and not the trial's settings."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError | InUse):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
