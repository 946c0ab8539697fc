"""Figures about the arrays of a checkpoint, computed on the host. Importing this does not import JAX."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_BLOCK = 1 << 22  # values turned to float64 at a time: 32 MB, whatever the leaf's size


def without_devices() -> None:
    """Orbax starts JAX when it reads arrays: let that be the CPU, unless JAX runs already."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def described(shape: list[int], dtype: str) -> dict[str, Any]:
    """{"shape", "dtype", "bytes"} of a leaf; bytes in memory, None where NumPy does not know the dtype."""
    return {"shape": shape, "dtype": dtype, "bytes": _bytes(math.prod(shape), dtype)}


def values(leaf: Mapping[str, Any]) -> int:
    """Number of values in a leaf as `described` gives it."""
    return math.prod(leaf["shape"])


def statistics(array: np.ndarray) -> dict[str, Any]:
    """norm, mean, std (population) of the finite values, in float64; counts of NaN and infinite ones.

    The three are None where no value is finite.
    """
    nan = inf = count = 0
    total = squares = 0.0
    for block in _blocks(array):
        nan += int(np.isnan(block).sum())
        inf += int(np.isinf(block).sum())
        block = block[np.isfinite(block)]
        count += block.size
        total += float(block.sum())
        squares += float(np.square(block).sum())
    if count == 0:
        return {"norm": None, "mean": None, "std": None, "nan": nan, "inf": inf}
    mean = total / count
    spread = sum(float(np.square(block[np.isfinite(block)] - mean).sum()) for block in _blocks(array))
    std = math.sqrt(spread / count)
    return {"norm": math.sqrt(squares), "mean": mean, "std": std, "nan": nan, "inf": inf}


def difference(here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """Of two arrays of one shape: |here - there| / max(|here|, |there|) (2-norms), and the largest |here - there|.

    Not finite where a value is; 0 where both are NaN or the same infinity.
    """
    apart = norm_here = norm_there = largest = 0.0
    for a, b in zip(_blocks(here), _blocks(there), strict=True):
        with np.errstate(invalid="ignore"):
            gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, a - b)
        apart += float(np.square(gap).sum())
        norm_here += float(np.square(a).sum())
        norm_there += float(np.square(b).sum())
        largest = float(np.maximum(largest, np.abs(gap).max(initial=0.0)))
    if apart == 0.0:
        return {"relative": 0.0, "max_abs": 0.0}
    with np.errstate(invalid="ignore"):
        return {"relative": float(np.sqrt(apart / np.maximum(norm_here, norm_there))), "max_abs": largest}


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = array.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK].astype(np.float64)


def _bytes(count: int, dtype: str) -> int | None:
    import ml_dtypes  # noqa: F401  makes "bfloat16" a name that NumPy knows

    try:
        return count * np.dtype(dtype).itemsize
    except TypeError:
        return None
