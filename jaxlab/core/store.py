"""Arrays on disk under a fingerprint: complete or absent, never half-written."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxlab.core.types import UserError


def cache_dir() -> Path:
    """`$JAXLAB_CACHE`, or `~/.cache/jaxlab`."""
    return Path(os.environ.get("JAXLAB_CACHE") or Path.home() / ".cache" / "jaxlab")


def stored(
    key: str, shape: tuple[int, ...], dtype: np.dtype, fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    """The read-only memory-mapped array stored under `key`; `fill` writes it when it is not there yet.

    The key must name everything that the content depends on. The array is written under a temporary name and
    renamed once it is complete and on disk, so what a killed process leaves behind is never read.
    Raises UserError when the disk is full.
    """
    path = cache_dir() / f"{key}.npy"
    found = _open(path, shape, dtype)
    if found is not None:
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{key}.{uuid.uuid4().hex}.partial")
    try:
        array = create(partial, shape, dtype, "or raise images.memory_budget_gb")
        fill(array)
        array.flush()
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="r")


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """The stored array, or None where there is none or the file is damaged."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):
        return None
    return array if array.shape == shape and array.dtype == dtype else None


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
            f"set JAXLAB_CACHE to a folder on another disk, {advice}"
        ) from error
    return array
