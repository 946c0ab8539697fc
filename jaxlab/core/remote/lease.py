"""One process at a time at a run in a store: an object that says who it is, and signs of life in it.

It is made on the condition that there is none, which S3 and Google's buckets decide at one moment. Where it is taken
over, as its process is no more or has given no sign of life for a minute, two that do so at once see one another a
moment later; and whoever sends a checkpoint looks first whether the lease is its own still.
"""

import contextlib
import json
import threading
import time
import warnings
from typing import Any

from jaxlab.core import holder
from jaxlab.core.lock import InUse
from jaxlab.core.remote.store import Store
from jaxlab.core.types import FileWarning, UserError

NAME = "lock"
SETTLED = 2.0  # seconds, in which two that take one over see one another


class Lease:
    """Ours from its making to its release. Raises InUse where another process has it."""

    def __init__(self, store: Store):
        self._store, self._record = store, holder.record()
        self._over, self._mutex = threading.Event(), threading.Lock()
        self._take()
        threading.Thread(target=self._live, name="lease", daemon=True).start()

    def _take(self) -> None:
        while not self._store.create(NAME, holder.written(self._record)):
            before = self._read()
            if before is None:
                continue  # it has ended meanwhile
            if self._is_ours(before):
                return
            if self._is_held(before):
                raise InUse(
                    f"{self._store.url} is in use: {holder.told(before)} has been at it since "
                    f"{before.get('since', '?')}. Wait for its end or give another path (if that process is no more, "
                    f"remove {self._store.url}/{NAME})"
                )
            self._store.write(NAME, holder.written(self._record))
            time.sleep(SETTLED)
            self.check()
            _say(f"{self._store.url} was left by {holder.told(before)}, which is no more; taken over")
            return

    def _is_held(self, before: dict[str, Any]) -> bool:
        if not before:
            return False
        if holder.is_here(before):
            return holder.is_alive(before)
        _say(f"watching for signs of life of {holder.told(before)}, {holder.STALE:.0f} s at most")
        ends = time.monotonic() + holder.STALE
        while time.monotonic() < ends:
            time.sleep(min(2.0, holder.STALE / 10))
            if (now := self._read()) != before:
                return now is not None
        return False

    def _read(self) -> dict[str, Any] | None:
        """What it says; {} where that is nothing of ours, None where there is none."""
        data = self._store.read(NAME)
        try:
            found = None if data is None else json.loads(data)
        except (ValueError, RecursionError):
            return {}
        return found if found is None or isinstance(found, dict) else {}

    def check(self) -> None:
        """Raises InUse where it is another's now. One that was removed is made again."""
        with self._mutex:
            self._check()

    def _check(self) -> None:
        now = self._read()
        if now is None:
            if self._store.create(NAME, holder.written(self._record)):
                return
            now = self._read()
        if not self._is_ours(now):
            raise InUse(
                f"{self._store.url}: another process has taken it meanwhile, {holder.told(now or {})}: this one ends. "
                "What it saved before stays"
            )

    def _is_ours(self, found: dict[str, Any] | None) -> bool:
        """Whether we wrote it; a store that was asked twice, as its answer was lost, says that it is there already."""
        return (found or {}).get("token") == self._record["token"]

    def release(self) -> None:
        self._over.set()
        with self._mutex, contextlib.suppress(UserError):  # others see that it gives no signs of life
            if self._is_ours(self._read()):
                self._store.remove(NAME)

    def _live(self) -> None:
        while not self._over.wait(holder.BEATS):
            with self._mutex, contextlib.suppress(UserError):  # said as the next checkpoint is sent
                if not self._over.is_set():
                    self._check()
                    self._record[holder.BEAT] += 1
                    self._store.write(NAME, holder.written(self._record))


def _say(text: str) -> None:
    warnings.warn(text, FileWarning, stacklevel=3)
