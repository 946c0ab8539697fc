"""The processes that train as one, and what they ask of one another over the service of jax.distributed.

Of one process alone nothing is asked. All processes call the same methods in the same order.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from jaxlab.core.types import UserError

_OURS = "jaxlab"
_ENDLESS = (
    1 << 30
)  # milliseconds that one waits for the others, twelve days: whether they live, the watch says


class Client(Protocol):
    """What is used of jax.distributed's."""

    def key_value_set(self, key: str, value: str) -> None: ...
    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]: ...
    def key_value_delete(self, key: str) -> None: ...
    def wait_at_barrier(self, barrier_id: str, timeout_in_ms: int) -> None: ...


class Group:
    """One process among `count`, from 0 up; without arguments, one alone."""

    def __init__(self, index: int = 0, count: int = 1, client: Client | None = None):
        self.index, self.count = index, count
        self._client: Any = client
        self._asked = 0

    @property
    def writes(self) -> bool:
        """Whether this is the one process that writes: the run directory, plots, the registry, the terminal."""
        return self.index == 0

    def gathered(self, what: str, mine: str) -> list[str]:
        """What each process says of `what`, by their numbers. Waits for all."""
        if self.count == 1:
            return [mine]
        self._asked += 1
        folder = f"{_OURS}/{self._asked}/"
        self._client.key_value_set(f"{folder}{self.index:08d}", f"{what}\n{mine}")
        self._client.wait_at_barrier(f"{_OURS}-{self._asked}", _ENDLESS)
        found = [value.split("\n", 1) for _, value in sorted(self._client.key_value_dir_get(folder))]
        if self.writes:  # all have come this far, so that nobody reads the one before
            self._client.key_value_delete(f"{_OURS}/{self._asked - 1}/")
        _check_same("what they do next", [asked for asked, _ in found], "give all of them the same command")
        return [said for _, said in found]

    def meet(self, what: str) -> None:
        """Go on when all have come here."""
        self.gathered(what, "")

    def same(self, what: str, mine: str, mend: str) -> None:
        """Raises UserError, in every process, where they do not all have the same. mend: what to do then."""
        _check_same(what, self.gathered(what, mine), mend)

    def any(self, what: str, mine: bool) -> bool:
        """Whether it is so in one of them at least."""
        return "1" in self.gathered(what, f"{mine:d}")


def _check_same(what: str, found: list[str], mend: str) -> None:
    odd = next((k for k, said in enumerate(found) if said != found[0]), None)
    if odd is not None:
        raise UserError(
            f"the {len(found)} processes differ in {what}: process 0 has {found[0]}, process {odd} has {found[odd]}; "
            f"{mend}"
        )


class Agreement:
    """Whether to stop, decided by all processes at the same step, about once in `every` seconds."""

    def __init__(self, group: Group, every: float = 1.0, clock: Callable[[], float] = time.monotonic):
        self._group, self._every, self._clock = group, every, clock
        self._steps = 0  # since they agreed last
        self._next = 1
        self._since = clock()

    def __call__(
        self, asked: Callable[[], bool], late: Callable[[], bool], now: bool = False
    ) -> tuple[bool, bool]:
        """(asked, late) of any process; of steps at which nobody is asked, False.

        now: ask at this step, whenever that was done last.
        """
        if self._group.count == 1:
            signalled = asked()
            return signalled, not signalled and late()
        self._steps += 1
        if self._steps < self._next and not now:
            return False, False
        self._next = 0 if now else self._next  # nothing has been timed
        seconds = (self._clock() - self._since) / self._steps
        found = [
            said.split() for said in self._group.gathered("stopping", f"{asked():d} {late():d} {seconds!r}")
        ]
        slowest = max(float(each[2]) for each in found)
        self._next = max(1, min(int(self._every / max(slowest, 1e-9)), 2 * self._next))
        self._steps, self._since = 0, self._clock()
        return any(each[0] == "1" for each in found), any(each[1] == "1" for each in found)
