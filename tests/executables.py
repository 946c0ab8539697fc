"""Compiled programs that a worker's tests have in common are compiled once: JAX's cache on disk, kept in memory.

A program is what JAX's own key names: its operations, its options, and the devices that it is for. On disk are those
that take long alone, and reading one back takes a while, too.
"""

from collections import OrderedDict
from typing import Any

from jax._src import compiler

_MOST = 300  # of the latest, so that a worker's memory stays small


def share() -> None:
    """From here on. Where a version of JAX does it otherwise, each test compiles its own."""
    if not (hasattr(compiler, "_cache_read") and hasattr(compiler, "_cache_write")):
        return
    kept: OrderedDict[str, Any] = OrderedDict()
    read, write = compiler._cache_read, compiler._cache_write

    def remembered(module_name: str, key: str, *others: Any) -> Any:
        executable, devices = kept.get(key), others[-1]
        if executable is None or list(executable.local_devices()) != list(devices):
            return read(module_name, key, *others)
        kept.move_to_end(key)
        return executable, 0

    def remember(
        key: str, seconds: float, module_name: str, backend: Any, executable: Any, callbacks: Any
    ) -> None:
        if not callbacks:
            kept[key] = executable
            if len(kept) > _MOST:
                kept.popitem(last=False)
        write(key, seconds, module_name, backend, executable, callbacks)

    compiler._cache_read, compiler._cache_write = remembered, remember
