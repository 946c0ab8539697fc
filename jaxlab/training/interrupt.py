"""Ctrl-C and a polite kill end a run after its step, with a checkpoint; a second Ctrl-C ends it at once."""

import signal
import threading
from types import FrameType
from typing import Self


class Interrupt:
    """A context in which SIGINT and SIGTERM set `asked` instead of breaking a step in two."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
