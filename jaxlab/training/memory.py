"""Memory that a step has used is kept for the next: XLA on a CPU takes its temporary buffers anew each time.

Given back in between, they cost a page fault for every 4 kB: from a tenth (ResNet-18) to a third (EfficientNet-Lite0)
of a train step.
"""

import contextlib
import ctypes
import functools
import platform

from jaxlab.core.machine import memory

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # names of mallopt(3), as malloc.h numbers them
_HUGE_PAGES = 14  # MADV_HUGEPAGE of madvise(2)
_HUGE = 2 << 20
_MOST = 8 << 30


@functools.cache
def keep_memory() -> None:
    """Let the C library serve all from one heap that only grows, in huge pages where the system has them.

    Linux with glibc; elsewhere nothing is done. Call it before JAX starts. The heap holds at most what the process
    has needed at once.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1)):
            libc.mallopt(option, value)
        _advise(libc, min(_MOST, memory() // 2))


def _advise(libc: ctypes.CDLL, size: int) -> None:
    """Ask for huge pages where the heap is going to grow; no page of it is touched."""
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = libc.malloc(size)
    if start is None:
        return
    aligned = (start + _HUGE - 1) // _HUGE * _HUGE
    libc.madvise(aligned, (start + size - aligned) // _HUGE * _HUGE, _HUGE_PAGES)
    libc.free(start)


def used_memory() -> dict[str, int]:
    """The most bytes that this process has needed, so far: {"host"}, and {"device"} of the first one where it tells."""
    import jax

    found = {}
    with contextlib.suppress(ImportError):
        import resource  # of Unix alone

        unit = 1 if platform.system() == "Darwin" else 1024
        found["host"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    told = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in told:
        found["device"] = int(told["peak_bytes_in_use"])
    return found
