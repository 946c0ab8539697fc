"""A command's time: how much of it is left, and how long the parts of a run have taken so far."""

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator

from jaxlab.core.types import UserError

_SPARE = (5.0, 0.01)  # seconds, and a share of the whole: plots, records, and the end of the process


class Budget:
    """So many seconds from now on, in which a command has to end; without end by default.

    clock: seconds from any start. longest: {part of a run: seconds it took at most}; a part that is still to come is
    taken to last as long again. stopped: whether something was left for another command.
    """

    def __init__(self, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic):
        self.seconds, self._clock = seconds, clock
        self._began = clock()
        self.longest: dict[str, float] = {}
        self.stopped = False

    @classmethod
    def of(cls, asked: "str | float | Budget | None") -> "Budget":
        """Of a text such as 8h30m, or of seconds. Raises UserError for anything that is not more than no time."""
        if isinstance(asked, Budget):
            return asked
        seconds = math.inf if asked is None else parsed(asked) if isinstance(asked, str) else float(asked)
        if not seconds > 0:
            raise UserError(f"stop-after: expected more than 0 seconds, found {asked!r}")
        return cls(seconds)

    @property
    def limited(self) -> bool:
        return math.isfinite(self.seconds)

    @property
    def used(self) -> float:
        """Seconds since its start."""
        return self._clock() - self._began

    def took(self, part: str, since: float) -> None:
        """`part` has run from the moment `since`, as `used` was then, until now."""
        self.longest[part] = max(self.longest.get(part, 0.0), self.used - since)

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """The block is `part`."""
        began = self.used
        yield
        self.took(part, began)

    def allows(self, parts: Iterable[str], more: float = 0.0) -> bool:
        """Whether these parts and `more` seconds fit in what is left; else the budget is `stopped`.

        A part that has not run yet counts for nothing.
        """
        needed = more + sum(self.longest.get(part, 0.0) for part in parts)
        spare = _SPARE[0] + _SPARE[1] * self.seconds
        if self.used + needed + spare > self.seconds:
            self.stopped = True
        return not self.stopped


def parsed(text: str) -> float:
    """Seconds of 8h30m, 45m, 90s or 1h. Raises UserError for any other text."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not text.strip() or found is None:
        raise UserError(f"stop-after: expected a time such as 8h30m, 45m or 90s, found {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60 * minutes + seconds


def duration_text(seconds: float) -> str:
    """The time as `parsed` reads it, without what is 0: 8h30m, 45m10s, 90s as 1m30s."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"h": hours, "m": minutes, "s": rest}
    return "".join(f"{number}{unit}" for unit, number in parts.items() if number) or "0s"
