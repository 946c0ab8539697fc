"""What stands in the place of jax.distributed's client, for threads of one process."""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jaxlab.training.hosts import Group


class Service:
    """Keys and barriers that `count` threads share."""

    def __init__(self, count: int):
        self.values: dict[str, str] = {}
        self._barriers: dict[str, threading.Barrier] = defaultdict(
            lambda: threading.Barrier(count, timeout=20)
        )
        self._mutex = threading.Lock()

    def key_value_set(self, key: str, value: str, allow_overwrite: bool = False) -> None:
        assert allow_overwrite or key not in self.values
        self.values[key] = value

    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]:
        return [(name, value) for name, value in list(self.values.items()) if name.startswith(key)]

    def key_value_delete(self, key: str) -> None:
        for name in [name for name in list(self.values) if name.startswith(key)]:
            del self.values[name]

    def wait_at_barrier(self, barrier_id: str, timeout_in_ms: int) -> None:
        with self._mutex:
            barrier = self._barriers[barrier_id]
        barrier.wait()


def each(count: int, do: Callable[[Group], Any]) -> list[Any]:
    """What `do` gives, or raises, in each of so many processes, which are threads here."""
    service = Service(count)

    def one(index: int) -> Any:
        try:
            return do(Group(index, count, service))
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
