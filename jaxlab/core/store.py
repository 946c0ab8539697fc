"""Arrays on disk under a fingerprint: complete and as they were written, or absent.

<key>.npy        the array, then the words that `_seal` makes of its bytes, which numpy does not read
<key>.*.partial  being made; what a killed process left is removed a day later
"""

import contextlib
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxlab.core.checksum import content_sum
from jaxlab.core.files import writing
from jaxlab.core.types import UserError

_ADVICE = "or raise images.memory_budget_gb"
ELSEWHERE = "set JAXLAB_CACHE to a folder on another disk, {}"
_ABANDONED = 24 * 3600.0  # seconds without a write, after which nobody is making a partial file


def cache_dir() -> Path:
    """`$JAXLAB_CACHE`, or `~/.cache/jaxlab`. Raises UserError where there is neither it nor a home."""
    try:
        return Path(os.environ.get("JAXLAB_CACHE") or "~/.cache/jaxlab").expanduser()
    except RuntimeError as error:
        raise UserError(
            f"no folder for what is kept between runs ({error}): set JAXLAB_CACHE to one"
        ) from None


def stored(
    key: str, shape: tuple[int, ...], dtype: np.dtype, fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    """The read-only memory-mapped array stored under `key`; `fill` writes it when it is not there yet.

    The key must name everything that the content depends on. The array is written under a temporary name and
    renamed once it is complete and on disk, so what a killed process leaves behind is never read. What is there is
    summed, once a process; where a bit has changed it is made again.
    Raises UserError when the disk is full or refuses.
    """
    path = cache_dir() / f"{key}.npy"
    found = _open(path, shape, dtype)
    if found is not None:
        return found
    partial = path.with_name(f"{key}.{uuid.uuid4().hex}.partial")
    with writing(path, ELSEWHERE.format(_ADVICE)):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path.parent, key)
    try:
        array = create(partial, shape, dtype, _ADVICE)
        fill(array)
        with writing(path, ELSEWHERE.format(_ADVICE)):
            array.flush()
            _add_seal(partial)
            partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="r")


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """The stored array, or None where there is none, or it is not as it was written."""
    array = mapped(path, shape, dtype)
    if array is None:
        return None
    size = array.offset + array.nbytes
    try:
        with path.open("rb") as file:
            file.seek(size)
            return array if file.read(_SEAL_BYTES + 1) == _seal(path, size) else None
    except OSError:
        return None


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap | None:
    """The array file, read-only and memory-mapped; None where it is another one, cut short, damaged or missing."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception:  # of numpy's parser of headers, by what is damaged
        return None
    return array if (array.shape, array.dtype) == (shape, dtype) else None


def _add_seal(path: Path) -> None:
    seal = _seal(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(seal)
        file.flush()
        os.fsync(file.fileno())


def _seal(path: Path, size: int) -> bytes:
    """What follows the first `size` bytes of a whole file."""
    return f"\nsum {content_sum(path, size)}\n".encode()


_SEAL_BYTES = len("\nsum \n") + 64


def _clear(folder: Path, key: str) -> None:
    """Remove what killed processes left of this array."""
    for left in folder.glob(f"{key}.*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()


def create(path: Path, shape: tuple[int, ...], dtype: np.dtype, advice: str) -> np.memmap:
    """An empty array file with its blocks reserved: a full disk is an error here, not a bus error later.

    Raises UserError where there is no room, which ends with `advice` on what else to do.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        size = np.prod(shape, dtype=float) * dtype.itemsize / 1e9
        raise UserError(
            f"{path.parent}: no room for an array of {size:.1f} GB ({error.strerror}); "
            f"{ELSEWHERE.format(advice)}"
        ) from error
    return array
