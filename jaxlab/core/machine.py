"""What the machine has."""

import contextlib
import os
from pathlib import Path

from jaxlab.core.types import UserError


def memory() -> int:
    """Bytes that this process may use: the machine's, or less in a container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text("utf-8")))
    return total


def check_room(what: str, parts: dict[str, int]) -> None:
    """Raises UserError where what is about to be made would not fit into memory.

    parts: bytes, by the fields that they come from, as "size, neurons".
    """
    needed, there = sum(parts.values()), memory()
    if needed > there:
        largest = max(parts, key=lambda name: parts[name])
        raise UserError(
            f"{what}: expected what fits into this machine's memory, {there / 2**30:.3g} GiB, found about "
            f"{needed / 2**30:.3g} GiB to make; most of it follows from {largest}: make these smaller"
        )
