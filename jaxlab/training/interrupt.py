"""Ctrl-C, a polite kill and a terminal that closes end a run after its step, with a checkpoint.

A second one ends it at once.
"""

import signal
import threading
from types import FrameType
from typing import Self


class Interrupt:
    """A context in which SIGINT, SIGTERM and SIGHUP set `asked` instead of breaking a step in two."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
            for number in _signals():
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _signals() -> list[signal.Signals]:
    """Of a closed terminal only where that would end the process: nohup has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    listens = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if hangup is not None and listens else [])]
