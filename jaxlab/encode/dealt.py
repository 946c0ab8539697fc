"""Work dealt to the devices of a process: folds to decompose, blocks of rows to multiply."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import jax

Job = TypeVar("Job")
Result = TypeVar("Result")


def devices() -> Sequence[Any]:
    """Those that work is dealt to. Those of a CPU share its cores, which one of them has all at work already."""
    return jax.local_devices()[:1] if jax.default_backend() == "cpu" else jax.local_devices()


def dealt(do: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """What `do` makes of each job, in their order; on several devices as many at once, each with one as its default.

    So many results at most are in memory beside those that the caller keeps.
    """
    chosen = devices()
    if len(chosen) == 1:
        yield from map(do, jobs)
        return
    free: SimpleQueue[Any] = SimpleQueue()
    for device in chosen:
        free.put(device)

    def one(job: Job) -> Result:
        device = free.get()
        try:
            with jax.default_device(device):
                return do(job)
        finally:
            free.put(device)

    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(chosen)) as pool:
        for job in jobs:
            running.append(pool.submit(one, job))
            if len(running) == len(chosen):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
