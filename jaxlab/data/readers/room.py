"""A bound on the pixels that all threads decode at a time: a few hundred KB on disk may be gigabytes of memory."""

import contextlib
import threading
from collections.abc import Iterator


class Room:
    """Threads that would decode more than `pixels` together wait for one another; a larger image is decoded alone."""

    def __init__(self, pixels: int):
        self.pixels = pixels
        self._used = 0
        self._changed = threading.Condition()
        self._mine = threading.local()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Room for an image. A thread that has some already takes more without waiting, or two might wait for ever."""
        with self._changed:
            if not self._held:
                self._changed.wait_for(lambda: not self._used or self._used + pixels <= self.pixels)
            self._add(pixels)
        try:
            yield
        finally:
            if not self._keeping:
                self._leave()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """What is taken within is left at the end alone: decoded images lie in memory until they are made smaller."""
        self._mine.keeping = True
        try:
            yield
        finally:
            self._mine.keeping = False
            self._leave()

    @property
    def _held(self) -> int:
        return getattr(self._mine, "held", 0)

    @property
    def _keeping(self) -> bool:
        return getattr(self._mine, "keeping", False)

    def _add(self, pixels: int) -> None:
        self._used += pixels
        self._mine.held = self._held + pixels

    def _leave(self) -> None:
        with self._changed:
            self._add(-self._held)
            self._changed.notify_all()


ROOM = Room(100_000_000)  # about 1.5 GB while they are decoded
