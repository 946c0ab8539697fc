"""Whether the other processes live, and what they said as they ended.

Each writes a sign of life every second and reads those of all. Where one has been silent for too long, or says that it
ends, this process ends, too: what it waits for will not come. It may be deep in a collective operation that never
returns, so that after some seconds it is ended from here.
"""

import contextlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxlab.core.types import AGAIN

_SIGNS = "jaxlab-signs/"
TICK = 1.0  # seconds between two signs of life
SILENT = 30.0  # seconds without one, after which a process is taken to be no more
ALARMED = 5.0  # the same, where an operation with the others has failed
GRACE = 10.0  # seconds in which this process may end in its own way


@dataclass(frozen=True)
class Gone:
    """Why this process cannot go on. code: the exit code that says what to do about it."""

    message: str
    code: int


class Watch:
    """Looks after the `count` processes of a group, of which this is number `index`. end: ends this process."""

    def __init__(
        self,
        client: Any,
        index: int,
        count: int,
        tick: float = TICK,
        silent: float = SILENT,
        grace: float = GRACE,
        end: Callable[[Gone], None] | None = None,
    ):
        self._client, self._index, self._count = client, index, count
        self._tick, self._silent, self._grace = tick, silent, grace
        self._end = end or ends
        self._who = f"process {index} (pid {os.getpid()} on {platform.node()})"
        self._beat = 0
        self._own_end: dict[str, Any] | None = None
        self._names = [f"process {k}" for k in range(count)]
        self._seen = [("", time.monotonic())] * count  # the last sign of each, and when it was new
        self._over, self._found = threading.Event(), threading.Event()
        self._mutex = threading.Lock()
        self.gone: Gone | None = None
        self._thread = threading.Thread(target=self._live, name="hosts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """All are to end now."""
        self._over.set()

    def lost_coordinator(self) -> None:
        """The connection to process 0 has broken."""
        self._note(self._no_more(0))

    def explain(self, seconds: float = 2 * ALARMED) -> Gone | None:
        """Why an operation with the others has failed, where it is their end; waits for as long for it to be seen."""
        self._silent = min(self._silent, ALARMED * self._tick)
        self._found.wait(seconds)
        return self.gone

    def tell(self, message: str, code: int, seconds: float = 5.0) -> None:
        """Say to the others that this process ends, and wait until they have heard it."""
        self._own_end = {"message": message, "code": code}
        with contextlib.suppress(Exception):
            self._sign()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(Exception):
                others = [sign for k, sign in self._signs().items() if k != self._index]
                if all(sign.get("heard") or sign.get("ends") for sign in others):
                    return
            time.sleep(self._tick / 4)

    def _live(self) -> None:
        while not self._over.wait(self._tick):
            try:
                self._sign()
                self._look(self._signs())
            except Exception as error:
                if not self._over.is_set():
                    words = (str(error).splitlines() or [type(error).__name__])[0]
                    self._note(Gone(f"{self._no_more(0).message} ({words:.200})", AGAIN))

    def _sign(self) -> None:
        with self._mutex:
            self._beat += 1
            sign = {
                "beat": self._beat,
                "who": self._who,
                "ends": self._own_end,
                "heard": self.gone is not None,
            }
            key = f"{_SIGNS}{self._index}"
            self._client.key_value_set(key, json.dumps(sign), allow_overwrite=True)

    def _signs(self) -> dict[int, dict[str, Any]]:
        found = self._client.key_value_dir_get(_SIGNS)
        return {int(key.rpartition("/")[2]): json.loads(value) for key, value in found}

    def _look(self, signs: dict[int, dict[str, Any]]) -> None:
        now = time.monotonic()
        for k in range(self._count):
            sign = signs.get(k)
            if sign is not None:
                self._names[k] = sign["who"]
                if k != self._index and sign["ends"] is not None:
                    ends = sign["ends"]
                    self._note(Gone(f"{sign['who']} has ended: {ends['message']}", ends["code"]))
                    return
            text = json.dumps(sign)
            if text != self._seen[k][0]:
                self._seen[k] = (text, now)
            elif now - self._seen[k][1] > self._silent and k != self._index:
                self._note(self._no_more(k))
                return

    def _no_more(self, k: int) -> Gone:
        return Gone(
            f"{self._names[k]} is no more: it was killed, or its machine or the network is gone. Run the same command "
            "again, on as many processes as there are: it goes on from the last checkpoint",
            AGAIN,
        )

    def _note(self, gone: Gone) -> None:
        if self.gone is None and not self._over.is_set():
            self.gone = gone
            self._found.set()
            threading.Thread(target=self._end_in_time, args=(gone,), name="hosts-end", daemon=True).start()

    def _end_in_time(self, gone: Gone) -> None:
        """By a thread of its own: without a coordinator, what is asked of it may never return."""
        if not self._over.wait(self._grace):
            self._end(gone)


def ends(gone: Gone) -> None:
    """The process, at once: JAX's own way out would wait for the others."""
    with contextlib.suppress(Exception):
        print(f"error: {gone.message}", file=sys.stderr)
    leave_at_once(gone.code)


def leave_at_once(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
