"""Python's search for garbage, left out while what is made stays: modules, or millions of parsed objects."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Garbage is not looked for in the block, which costs a third of the time and more where all objects stay.

    What there is after the first block of a process, its modules, is never looked through again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
            gc.enable()
