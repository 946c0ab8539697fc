"""One process at a time at a path, and who it is.

The lock is the operating system's (flock), so that a process that was killed holds nothing. On a disk without locks,
what the file says has to do: a process of this machine that is no more holds nothing either.
"""

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jaxlab.core.files import writing
from jaxlab.core.types import UserError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


class InUse(UserError):
    """Another process is there."""


_OWN = getattr(os, "O_NOFOLLOW", 0)  # a link in somebody's run directory would have another file written over


@contextlib.contextmanager
def locked(file: Path, what: Path) -> Iterator[None]:
    """Alone at `what` while the block runs: `file` says who is there, and goes afterwards, with folders made for it.

    Raises InUse, which names the process that is there already, and UserError where the disk refuses.
    """
    with writing(what):
        made = [folder for folder in file.parents if not folder.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with writing(what):
            number = _taken(file, what)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            os.close(number)
    finally:
        with contextlib.suppress(OSError):  # those that something was kept in stay
            for folder in made:
                folder.rmdir()


def _taken(file: Path, what: Path) -> int:
    """The lock file, open and locked, with our record in it."""
    while True:
        number = os.open(file, os.O_RDWR | os.O_CREAT | _OWN, 0o666)
        if not _take(number):
            holder = _holder(number)
            os.close(number)
            raise InUse(
                f"{what} is in use: process {holder.get('pid', '?')} on {holder.get('host', '?')} has been at it since "
                f"{holder.get('since', '?')}. Wait for its end or give another path (if that process is no more, "
                f"remove {file})"
            )
        if _is_still(number, file):
            os.ftruncate(number, 0)
            os.pwrite(number, json.dumps(_record()).encode(), 0)
            return number
        os.close(number)  # whoever held it removed it meanwhile


def _take(number: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError:
            pass  # this disk has no locks
    return not is_alive(_holder(number))


def _is_still(number: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), file.stat())
    except FileNotFoundError:
        return False


def _record() -> dict[str, Any]:
    since = datetime.now(UTC).isoformat(" ", "seconds")
    return {"pid": os.getpid(), "host": platform.node(), "since": since}


def _holder(number: int) -> dict[str, Any]:
    """What the file says; {} where it says nothing."""
    try:
        found = json.loads(os.pread(number, 4096, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_alive(holder: dict[str, Any]) -> bool:
    """As far as can be told from here."""
    if holder.get("host") != platform.node():
        return bool(holder)
    try:
        os.kill(int(holder["pid"]), 0)
    except (ProcessLookupError, KeyError, ValueError, TypeError, OverflowError):
        return False
    except OSError:
        pass  # it is another user's
    return True
