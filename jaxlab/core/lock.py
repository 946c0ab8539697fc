"""One process at a time at a path, and who it is.

The lock is the operating system's (flock), so that a process that was killed holds nothing: on a local disk, and on
NFS, where Linux hands it to the server. Some disks have none, or one that other machines do not see (buckets that are
mounted, Lustre with localflock): there what the file says has to do. A process of this machine that is no more holds
nothing; one elsewhere does for as long as it gives signs of life. Who takes over what a dead process left is told so.

flock and not fcntl's locks, which go with the first of a process's descriptors that is closed: whoever reads the file
would end its own lock. Not a link or O_EXCL, which a kill leaves behind on every disk.
"""

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxlab.core import holder
from jaxlab.core.files import writing
from jaxlab.core.holder import is_alive as is_alive
from jaxlab.core.types import FileWarning, UserError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


class InUse(UserError):
    """Another process is there."""


_OWN = getattr(os, "O_NOFOLLOW", 0)  # a link in somebody's run directory would have another file written over
_SETTLED = 0.2  # seconds in which two that take one over on a disk without locks see one another
_HELD: dict[Path, "Held"] = {}


@contextlib.contextmanager
def locked(file: Path, what: Path, patient: bool = True) -> Iterator[None]:
    """Alone at `what` while the block runs: `file` says who is there, and goes afterwards, with folders made for it.

    patient: watch a minute at most whether one that another machine left gives signs of life; else its age decides.
    Raises InUse, which names the process that is there already, and UserError where the disk refuses.
    """
    with writing(what):
        made = [folder for folder in file.parents if not folder.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with writing(what):
            held = Held(file, what, patient)
        _HELD[what.absolute()] = held
        try:
            yield
        finally:
            del _HELD[what.absolute()]
            held.release()
    finally:
        with contextlib.suppress(OSError):  # those that something was kept in stay
            for folder in made:
                folder.rmdir()


def check_held(what: Path) -> None:
    """Nothing, where this process is still alone at `what`, or never asked to be.

    Raises InUse where the lock was removed meanwhile and another process has taken it, or `what` was moved away.
    """
    if (held := _HELD.get(what.absolute())) is not None:
        held.check()


@contextlib.contextmanager
def in_turn(file: Path, what: Path, seconds: float = 60.0) -> Iterator[None]:
    """As `locked`, for what takes moments: another process is waited for. Raises InUse where it takes longer."""
    ends = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(file, what, patient=False))
                break
            except InUse:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)
        yield


class Held:
    """A lock that is ours: an open file, and signs of life in it."""

    def __init__(self, file: Path, what: Path, patient: bool):
        """Raises InUse where another process has it, OSError where the disk refuses."""
        self._file, self._what, self._record = file, what, holder.record()
        self._number = self._taken(patient)
        self._mutex, self._over = threading.Lock(), threading.Event()
        threading.Thread(target=self._live, name="lock", daemon=True).start()

    def check(self) -> None:
        """Raises InUse where the file is another's now, or its folder gone. One that was removed is made again."""
        with self._mutex:
            if self._over.is_set():
                return
            try:
                if _is_still(self._number, self._file):
                    return
                number = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OWN, 0o666)
            except FileExistsError:
                raise InUse(
                    f"{self._what}: its lock {self._file} was removed while it was in use here, and another process "
                    "has taken it: this one ends. What it saved before stays"
                ) from None
            except FileNotFoundError:
                raise InUse(
                    f"{self._what} was moved or removed while it was in use here: this process ends. What it saved "
                    "before stays where it is now"
                ) from None
            except OSError:
                return  # the disk refuses: whoever writes there is told
            _take(number)
            _write(number, self._record)
            os.close(self._number)
            self._number = number

    def release(self) -> None:
        with self._mutex:
            self._over.set()
            with contextlib.suppress(OSError):
                if _is_still(self._number, self._file):
                    self._file.unlink(missing_ok=True)
            os.close(self._number)

    def _live(self) -> None:
        while not self._over.wait(holder.BEATS):
            with contextlib.suppress(InUse, OSError):  # said as the next checkpoint is written
                self.check()
                with self._mutex:
                    if not self._over.is_set():
                        self._record[holder.BEAT] += 1
                        _write(self._number, self._record)

    def _taken(self, patient: bool) -> int:
        """The lock file, open and locked, with our record in it."""
        while True:
            number = os.open(self._file, os.O_RDWR | os.O_CREAT | _OWN, 0o666)
            locks, before = _take(number), holder.read(number)
            try:
                if locks is False or self._is_held(before, locks, patient):
                    raise InUse(
                        f"{self._what} is in use: {holder.told(before)} has been at it since "
                        f"{before.get('since', '?')}. Wait for its end or give another path (if that process is no "
                        f"more, remove {self._file})"
                    )
                if _is_still(number, self._file):
                    age = holder.age_of(self._file)
                    _write(number, self._record)
                    if locks is None:
                        time.sleep(_SETTLED)
                    if locks or holder.read(number).get("token") == self._record["token"]:
                        self._tell_of(before, age)
                        return number
            except BaseException:
                if locks and not before and not isinstance(sys.exc_info()[1], InUse):
                    self._file.unlink(missing_ok=True)  # it is ours, and empty: the disk is full
                os.close(number)
                raise
            os.close(number)  # whoever held it removed it meanwhile, or another was faster

    def _is_held(self, before: dict[str, Any], locks: bool | None, patient: bool) -> bool:
        """Whether somebody has the lock by what the file says, though the system gives it to us, or has none."""
        if holder.is_here(before) or not before:
            return locks is None and holder.is_alive(before)
        if locks is None and holder.BEAT not in before:
            return True  # an earlier version's, which is believed
        return holder.gives_signs(self._file, before, patient, _say)

    def _tell_of(self, before: dict[str, Any], age: float | None) -> None:
        """That a process that is no more has left the lock, where one has."""
        if not before or (holder.is_here(before) and holder.is_alive(before)):
            return
        silent = (
            "" if holder.is_here(before) or age is None else f", of which there was no sign for {_long(age)}"
        )
        _say(
            f"{self._what} was left by {holder.told(before)}, at it since {before.get('since', '?')}"
            f"{silent or ', which is no more'}; taken over"
        )


def _say(text: str) -> None:
    warnings.warn(text, FileWarning, stacklevel=3)


def _long(seconds: float) -> str:
    """In the largest unit that fits: 3 min."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _write(number: int, record: dict[str, Any]) -> None:
    """In place, so that no moment has an empty file; on disk, where other machines look."""
    data = holder.written(record)
    os.pwrite(number, data, 0)
    os.ftruncate(number, len(data))
    with contextlib.suppress(OSError):
        os.fsync(number)


def _take(number: int) -> bool | None:
    """Whether the operating system gives us the file; None where this disk has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def _is_still(number: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), file.stat())
    except FileNotFoundError:
        return False
