"""The registry's database: opened, written to and listed. Claims of snapshots are in `claims`."""

import contextlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Row,
    and_,
    case,
    create_engine,
    delete,
    event,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.sql.elements import ColumnElement

from jaxlab.core.types import UserError
from jaxlab.runs.registry.place import Place
from jaxlab.runs.registry.records import RunRecord, SnapshotRecord
from jaxlab.runs.registry.tables import ABOUT, METADATA, RUN, SCHEMA, SNAPSHOT

_LOCK = 0x6A61786C  # "jaxl": whoever makes the tables in PostgreSQL holds it
_RUN_FIELDS = [field.name for field in fields(RunRecord) if field.name not in ("snapshots", "best")]
_AT_ONCE = 100  # runs in one transaction: others write in between


class RegistryError(UserError):
    """The database refuses: it is full, locked, read-only, another one, or not there."""


class Registry:
    """An open registry. Its methods raise RegistryError where the database refuses.

    patience: seconds to wait for another process that writes.
    """

    def __init__(self, place: Place, patience: float = 10.0):
        self.place = place
        with self._refusals():
            self.engine = _engine(place, patience)
        self._writing = self.engine.execution_options(writes=True)
        with self._refusals():
            self._make()

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._refusals(), self.engine.connect() as db:
            yield db

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction; the only one that writes, in SQLite."""
        with self._refusals(), self._writing.begin() as db:
            yield db

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def now(self) -> Any:
        """Seconds since 1970, by the clock that all who share the database have."""
        return time.time() if self.is_sqlite else func.extract("epoch", func.clock_timestamp())

    # -- runs

    def note(self, records: Sequence[tuple[RunRecord, Collection[int]]]) -> None:
        """Write runs, and those of their snapshots that each record has; with the steps of all that are on disk.

        A snapshot that is not is deleted. One that somebody validates just now stays theirs.
        """
        for first in range(0, len(records), _AT_ONCE):
            with self.writing() as db:
                for record, there in records[first : first + _AT_ONCE]:
                    self._note(db, record, there)

    def _note(self, db: Connection, record: RunRecord, there: Collection[int]) -> None:
        number = self._note_run(db, record)
        if record.snapshots:
            rows = [self._snapshot_row(record, number, one) for one in record.snapshots]
            new = self._insert(SNAPSHOT)
            same = SNAPSHOT.c.digest == new.excluded.digest
            theirs = and_(SNAPSHOT.c.status == "validating", new.excluded.status == "pending", same)
            changed = {name: new.excluded[name] for name in ("epoch", "digest", "scores", "path")}
            status = case((theirs, SNAPSHOT.c.status), else_=new.excluded.status)
            db.execute(
                new.on_conflict_do_update(index_elements=["run", "step"], set_={**changed, "status": status}),
                rows,
            )
        mark_gone(db, number, there)
        if record.best is not None:
            mark_best(db, number, record.best)

    def _note_run(self, db: Connection, record: RunRecord) -> int:
        values: dict[str, Any] = {name: getattr(record, name) for name in _RUN_FIELDS}
        values["path"] = self.place.name(record.path)
        values["study"] = None if record.study is None else self.place.name(record.study)
        new = self._insert(RUN)
        changed: dict[str, Any] = {
            name: new.excluded[name] for name in values if name not in ("path", "created")
        }
        failed = and_(
            RUN.c.state == "failed", new.excluded.state == "stopped", RUN.c.step == new.excluded.step
        )
        changed["state"] = case((failed, RUN.c.state), else_=new.excluded.state)
        changed["beat"] = case((RUN.c.beat > new.excluded.beat, RUN.c.beat), else_=new.excluded.beat)
        upsert = new.values(**values).on_conflict_do_update(index_elements=["path"], set_=changed)
        return int(db.execute(upsert.returning(RUN.c.id)).scalar_one())

    def _snapshot_row(self, record: RunRecord, run: int, one: SnapshotRecord) -> dict[str, Any]:
        path = self.place.name(record.path / "checkpoints" / str(one.step))
        return {"run": run, "made": time.time(), "path": path, **vars(one)}

    def _insert(self, table: Any) -> Any:
        return (sqlite if self.is_sqlite else postgresql).insert(table)

    def beat(self, path: Path) -> None:
        """The run's process is still there."""
        with self.writing() as db:
            db.execute(update(RUN).where(RUN.c.path == self.place.name(path)).values(beat=self.now()))

    def forget(self, names: Collection[str]) -> None:
        """Runs that are no more, and what lies in them."""
        with self.writing() as db:
            for name in names:
                doomed = select(RUN.c.id).where(within(name))
                db.execute(delete(SNAPSHOT).where(SNAPSHOT.c.run.in_(doomed)))
                db.execute(delete(RUN).where(within(name)))

    def runs(self, folder: str = "") -> Sequence[Row[Any]]:
        """The runs at or below a name, each with its best snapshot, newest first."""
        best = and_(SNAPSHOT.c.run == RUN.c.id, SNAPSHOT.c.status == "best")
        more = [SNAPSHOT.c.step.label("best"), SNAPSHOT.c.scores]
        asked = select(*RUN.c, *more).outerjoin(SNAPSHOT, best).where(within(folder))
        with self.reading() as db:
            return db.execute(asked.order_by(RUN.c.created.desc(), RUN.c.id.desc())).all()

    def waiting(self) -> dict[int, int]:
        """{run: its snapshots that are pending or being validated}."""
        waits = SNAPSHOT.c.status.in_(("pending", "validating"))
        with self.reading() as db:
            found = db.execute(select(SNAPSHOT.c.run, func.count()).where(waits).group_by(SNAPSHOT.c.run))
            return {row[0]: row[1] for row in found}

    def names(self, folder: str = "") -> list[str]:
        """Of all runs at or below a name."""
        with self.reading() as db:
            return list(db.execute(select(RUN.c.path).where(within(folder))).scalars())

    # -- opening

    def _make(self) -> None:
        """The tables, unless they are there. Raises RegistryError for those of another version."""
        with self._writing.begin() as db:
            if not self.is_sqlite:
                db.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            METADATA.create_all(db)
            found = db.execute(select(ABOUT.c.schema)).scalars().first()
            if found is None:
                db.execute(ABOUT.insert().values(schema=SCHEMA))
        if found not in (None, SCHEMA):
            raise RegistryError(
                f"the registry {self.place}: expected schema {SCHEMA}, found {found!r:.20}: another version of jaxlab "
                "made it. Remove it (`jaxlab runs --rescan` makes it anew of the run directories), or name another by "
                "--registry"
            )

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            raise RegistryError(f"the registry {self.place}: {error}; {_driver(self.place.url)}") from None
        except ArgumentError as error:
            raise RegistryError(f"the registry {self.place}: expected a database's URL ({error})") from None
        except SQLAlchemyError as error:
            raise RegistryError(f"the registry {self.place}: {_words(error)}") from error


def within(name: str) -> ColumnElement[bool]:
    """Of the run of that name, or below it; of any for ""."""
    if name in ("", "."):
        return RUN.c.id.is_not(None)
    return or_(RUN.c.path == name, RUN.c.path.startswith(f"{name.rstrip('/')}/", autoescape=True))


def mark_gone(db: Connection, run: int, there: Collection[int]) -> None:
    """Snapshots of other steps than those that are there are deleted."""
    alive = and_(SNAPSHOT.c.run == run, SNAPSHOT.c.status != "deleted")
    known = db.execute(select(SNAPSHOT.c.step).where(alive)).scalars()
    for step in set(known) - set(there):
        db.execute(update(SNAPSHOT).where(alive, SNAPSHOT.c.step == step).values(status="deleted"))


def mark_best(db: Connection, run: int, step: int | None) -> None:
    """This step's snapshot is the run's best, and no other."""
    mine = SNAPSHOT.c.run == run
    others = and_(mine, SNAPSHOT.c.status == "best", SNAPSHOT.c.step != (-1 if step is None else step))
    db.execute(update(SNAPSHOT).where(others).values(status="validated"))
    if step is not None:
        this = and_(mine, SNAPSHOT.c.step == step, SNAPSHOT.c.status == "validated")
        db.execute(update(SNAPSHOT).where(this).values(status="best"))


def _engine(place: Place, patience: float) -> Engine:
    parsed = _url(place)
    if not place.url.startswith("sqlite"):
        return create_engine(
            parsed, pool_pre_ping=True, connect_args={"connect_timeout": max(round(patience), 1)}
        )
    engine = create_engine(parsed, connect_args={"timeout": patience})

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        connection.isolation_level = (
            None  # transactions begin where SQLAlchemy says, not with the first write
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        with contextlib.suppress(Exception):  # somebody else does it just now, or the file is read-only
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begun(db: Connection) -> None:
        db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("writes") else "BEGIN")

    return engine


def _url(place: Place) -> URL:
    if place.beside is not None:  # a file or none, whose folder may have a ? in its name
        return URL.create("sqlite", database=place.url.removeprefix("sqlite://").removeprefix("/") or None)
    try:
        return make_url(place.url)
    except ValueError:  # its words would be a part of a password
        raise ArgumentError("what stands behind the host's : is no port") from None


def _driver(url: str) -> str:
    return (
        'pip install "jaxlab[postgres]"'
        if url.startswith("postgresql")
        else "install the driver that it names"
    )


def _words(error: SQLAlchemyError) -> str:
    """The database's own, on one line."""
    original = getattr(error, "orig", None) or error
    return (str(original).strip().splitlines() or [type(error).__name__])[0][:200]
