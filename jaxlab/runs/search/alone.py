"""One worker at a time at what is of the whole study; the others wait, for moments."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from jaxlab.core.files import writing


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other worker of this study's directory asks for a trial, or writes its table, while the block runs.

    A process that is killed holds nothing. Raises UserError where the disk refuses.
    """
    file = folder / "asking.lock"
    with writing(file):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
