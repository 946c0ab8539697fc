"""What the machine has."""

import contextlib
import os
from pathlib import Path

from jaxlab.core.types import UserError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes that this process may use: the machine's, or less in a container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text("utf-8")))
    return total


def free_memory() -> int | None:
    """Bytes of it that nobody uses, or only to keep files at hand; None where the system does not say."""
    free = _field("/proc/meminfo", "MemAvailable:")
    if free is None:
        return None
    free *= 1024  # there, in kB
    with contextlib.suppress(OSError, ValueError):
        used = int(Path("/sys/fs/cgroup/memory.current").read_text("utf-8"))
        files = _field("/sys/fs/cgroup/memory.stat", "inactive_file") or 0
        free = min(free, memory() - used + files)
    return max(free, 0)


def _field(file: str, name: str) -> int | None:
    """A whole number of a table of names and numbers."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(file).read_text("utf-8").splitlines():
            if line.startswith(f"{name} ") or line.startswith(f"{name}\t"):
                return int(line.split()[1])
    return None


def refusal_of_jax(error: Exception) -> str:
    """Why JAX does not start, in its own words, with what the environment asks of it."""
    words = (str(error).splitlines() or [type(error).__name__])[0]
    asked = os.environ.get("JAX_PLATFORMS")
    return f"{words}{f' (with JAX_PLATFORMS={asked})' if asked else ''}"


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
