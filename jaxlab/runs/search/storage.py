"""Where a search's trials are listed: Optuna's journal in the study's directory, or a database."""

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlab.core.beside import ConfigText
from jaxlab.core.files import writing
from jaxlab.core.passwords import without_passwords
from jaxlab.core.types import UserError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "journal.log"
_GRACE = 10  # seconds after which the lock of a process that was killed in mid-line is taken
_WAITS = (0.1, 0.3, 1.0, 3.0)  # seconds between tries where others make a database's tables at the same time


def opened(url: str | None, folder: Path) -> "BaseStorage":
    """url: of a database; None for the journal in `folder`. Raises UserError where it cannot be reached."""
    return _journal(folder) if url is None else _database(url)


def shown(url: str | None) -> str:
    """The storage without a password, as a run keeps it and messages name it."""
    if url is None:
        return JOURNAL
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return without_passwords(make_url(url).render_as_string(hide_password=True))
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise UserError(
            "--storage: expected a database's URL, as postgresql://USER@HOST/NAME or sqlite:////PATH/FILE.db, found "
            f"{url.partition(':')[0]!r:.40}"
        ) from None


def without_password(source: str, url: str | None) -> str:
    """The text of a config file, with the modules beside it, where the URL is as it is `shown`."""
    if url is None or url == (known := shown(url)):
        return source
    modules = getattr(source, "modules", {})
    return ConfigText(
        source.replace(url, known), {name: text.replace(url, known) for name, text in modules.items()}
    )


@contextlib.contextmanager
def asking(where: str) -> Iterator[None]:
    """What Optuna does in this block is quiet, and what it cannot do is said. where: the storage, for messages.

    Raises UserError where the storage does not answer or is of another version.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with quiet():
            yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise UserError(
            f"{where} does not answer ({_first(error)}); the same command goes on from here"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna says and warns of nothing in this block but errors."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is new to Optuna, or was reported before a process died
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _journal(folder: Path) -> "BaseStorage":
    """The journal: a line for each thing that happens, added under a lock that disks of several machines have too."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    file = folder.absolute() / JOURNAL  # absolute, for the lock is a link to it

    class WholeLines(JournalFileSymlinkLock):
        """Whoever has the lock finds whole lines: what a full disk cut short is taken off before more is added."""

        def acquire(self) -> bool:
            taken = super().acquire()
            _cut(file)
            return taken

    with writing(file):
        try:
            return JournalStorage(JournalFileBackend(str(file), lock_obj=WholeLines(str(file), _GRACE)))
        except (ValueError, KeyError, AssertionError, TypeError) as error:
            raise UserError(f"{file} is no journal of a search ({error})") from error


def _cut(file: Path) -> None:
    """Take off a last line without its end."""
    with contextlib.suppress(FileNotFoundError), file.open("rb+") as journal:
        size = journal.seek(0, os.SEEK_END)
        journal.seek(max(size - 1, 0))
        if journal.read(1) in (b"", b"\n"):
            return
        back = min(size, 1 << 20)
        journal.seek(size - back)
        journal.truncate(size - back + journal.read(back).rfind(b"\n") + 1)


def _database(url: str) -> "BaseStorage":
    from sqlalchemy.engine import make_url

    where, parsed = shown(url), make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        with asking(where):
            return _with_tables(parsed)
    except ImportError as error:
        extra = 'pip install "jaxlab[postgres]"' if "psycopg" in str(error) else f"pip install {error.name}"
        raise UserError(f"--storage {where}: {error}; {extra}") from None
    except RuntimeError as error:  # tables of another version
        raise UserError(f"--storage {where}: {error}") from None


def _with_tables(url: Any) -> "BaseStorage":
    """The tables are made by whoever comes first; of workers that start together the others find them in a moment."""
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    name, options = url.render_as_string(hide_password=False), _engine(url)
    for wait in _WAITS:
        try:
            return RDBStorage(name, engine_kwargs=options)
        except SQLAlchemyError as error:
            if not _made_meanwhile(error):
                raise
            time.sleep(wait)
    return RDBStorage(name, engine_kwargs=options)


def _made_meanwhile(error: Exception) -> bool:
    """Whether it is what databases say of a table, its name or its row that somebody else has just made."""
    from sqlalchemy.exc import IntegrityError

    return isinstance(error, IntegrityError) or "already exists" in str(error)


def _engine(url: Any) -> dict[str, Any]:
    """A connection that the server has closed meanwhile, over the hours of a trial, is made anew."""
    if url.drivername.startswith("sqlite"):
        return {"connect_args": {"timeout": 60}}
    return {"pool_pre_ping": True}


def _first(error: BaseException) -> str:
    """The database's own words, whatever library they come through."""
    cause: BaseException = getattr(error, "orig", None) or error.__cause__ or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]
