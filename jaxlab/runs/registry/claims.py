"""Who validates which snapshot: one at a time, and another where that one is no more."""

import os
import platform
import random
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Row, and_, func, literal, select, update

from jaxlab.core.lock import is_alive
from jaxlab.runs.registry.records import Scores
from jaxlab.runs.registry.store import Registry, mark_best, within
from jaxlab.runs.registry.tables import RUN, SNAPSHOT

BEATS = 10.0  # seconds between two signs of life of whoever validates
STALE = 60.0  # seconds without one, after which another may take the snapshot over
_AMONG = 16  # of so many pending ones one is taken at random, so that several watchers seldom want the same
_FREE: dict[str, Any] = {"owner": None, "host": None, "pid": None, "beat": None}


@dataclass(frozen=True)
class Claim:
    """A snapshot that is ours to validate. snapshot, run: their numbers in the registry."""

    snapshot: int
    run: int
    path: Path
    step: int


@dataclass(frozen=True)
class Claims:
    """One watcher's. folder: the name that runs are at or below. owner: what tells it from all others."""

    registry: Registry
    folder: str = ""
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)

    def take(self, leaving: Collection[int] = (), rather: int | None = None) -> Claim | None:
        """A snapshot that nobody validates, those of dead watchers first; None where there is none.

        leaving: numbers of snapshots not to take. rather: the run whose snapshots come first.
        """
        while True:
            candidates = self._abandoned(leaving) or self._pending(leaving, rather)
            if not candidates:
                return None
            for one in random.sample(candidates, len(candidates)):
                if self._taken(one):
                    return Claim(one.id, one.run, self.registry.place.path(one.path), one.step)

    def _columns(self) -> Any:
        now = literal(self.registry.now()) if self.registry.is_sqlite else self.registry.now()
        columns = [
            SNAPSHOT.c[name] for name in ("id", "run", "step", "status", "owner", "host", "pid", "beat")
        ]
        joined = select(*columns, RUN.c.path, now.label("now")).join(RUN, RUN.c.id == SNAPSHOT.c.run)
        return joined.where(within(self.folder))

    def _pending(self, leaving: Collection[int], rather: int | None) -> list[Row[Any]]:
        """Some, the oldest first; those of the run that is loaded before others."""
        waits = and_(SNAPSHOT.c.status == "pending", SNAPSHOT.c.id.not_in(list(leaving)))
        asked = self._columns().where(waits).order_by(SNAPSHOT.c.id).limit(_AMONG)
        with self.registry.reading() as db:
            if rather is not None and (found := db.execute(asked.where(SNAPSHOT.c.run == rather)).all()):
                return list(found)
            return list(db.execute(asked).all())

    def _abandoned(self, leaving: Collection[int]) -> list[Row[Any]]:
        with self.registry.reading() as db:
            found = db.execute(self._columns().where(SNAPSHOT.c.status == "validating")).all()
        return [one for one in found if one.id not in leaving and _is_abandoned(one)]

    def _taken(self, seen: Row[Any]) -> bool:
        """Whether it was still as it was seen, and is ours now."""
        as_seen = [SNAPSHOT.c.id == seen.id]
        for name in ("status", "owner", "beat"):
            column, value = SNAPSHOT.c[name], getattr(seen, name)
            as_seen.append(column.is_(None) if value is None else column == value)
        mine = {"owner": self.owner, "host": platform.node(), "pid": os.getpid(), "beat": self.registry.now()}
        with self.registry.writing() as db:
            taken = update(SNAPSHOT).where(and_(*as_seen)).values(status="validating", **mine)
            return db.execute(taken).rowcount == 1

    def _mine(self, claim: Claim) -> Any:
        owned = and_(SNAPSHOT.c.owner == self.owner, SNAPSHOT.c.status == "validating")
        return update(SNAPSHOT).where(SNAPSHOT.c.id == claim.snapshot, owned)

    def beat(self, claim: Claim) -> bool:
        """Still at it; False where another has taken it over."""
        with self.registry.writing() as db:
            return db.execute(self._mine(claim).values(beat=self.registry.now())).rowcount == 1

    def release(self, claim: Claim, error: str | None = None) -> None:
        """Somebody else may validate it. error: why this one could not."""
        with self.registry.writing() as db:
            db.execute(self._mine(claim).values(status="pending", error=error, **_FREE))

    def gone(self, claim: Claim) -> None:
        """The checkpoint is there no more."""
        with self.registry.writing() as db:
            db.execute(self._mine(claim).values(status="deleted", **_FREE))

    def finish(self, claim: Claim, scores: Scores, best: Callable[[], int | None]) -> bool:
        """It is validated; False where another has taken it over, who will find the scores in the run directory.

        best: the step of the run's best snapshot, asked while nobody else decides it.
        """
        with self.registry.writing() as db:
            db.execute(select(RUN.c.id).where(RUN.c.id == claim.run).with_for_update())
            done = self._mine(claim).values(status="validated", scores=dict(scores), error=None, **_FREE)
            finished = db.execute(done).rowcount == 1
            mark_best(db, claim.run, best())
        return finished

    def left(self) -> int:
        """Snapshots that are pending or being validated by somebody."""
        waits = SNAPSHOT.c.status.in_(("pending", "validating"))
        asked = select(func.count()).select_from(SNAPSHOT.join(RUN, RUN.c.id == SNAPSHOT.c.run))
        with self.registry.reading() as db:
            return int(db.execute(asked.where(waits, within(self.folder))).scalar_one())


def _is_abandoned(one: Row[Any]) -> bool:
    """Whether whoever validates it has not been heard of for long, or is known to be no more."""
    silent = one.beat is None or float(one.now) - one.beat > STALE
    return silent or (one.host == platform.node() and not is_alive({"host": one.host, "pid": one.pid}))
