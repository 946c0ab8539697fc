"""Ctrl-C, a polite kill and a terminal that closes end a run after its step, with a checkpoint.

A second one ends it at once, but where it comes with the first: a batch system, systemd or a wrapper such as `uv run`
may tell a process and whatever has started it, which passes it on.
"""

import signal
import threading
import time
from types import FrameType
from typing import Self

TOGETHER = 1.0  # seconds within which signals are one


class Interrupt:
    """A context in which SIGINT, SIGTERM and SIGHUP set `asked` instead of breaking a step in two."""

    def __init__(self) -> None:
        self.asked = False
        self._at = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
            for number in _signals():
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self._at = True, time.monotonic()
        elif time.monotonic() - self._at >= TOGETHER:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _signals() -> list[signal.Signals]:
    """Of a closed terminal only where that would end the process: nohup has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    listens = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if hangup is not None and listens else [])]
