"""Targets far from 0 beside their spread: float32 has seven digits, of which their mean may take all.

What devices compute in float32 is taken above an origin then, on the host in float64; elsewhere nothing changes, and
data that float32 keeps have the fingerprints that they always had.
"""

from collections.abc import Iterator

import numpy as np

from jaxlab.core.blocks import Targets, blocks_of

_TARGETS = 512  # taken to float64 at a time: all of a whole brain would be gigabytes
_SHARE = 1e-3  # of a target's standard deviation: rounding below that is less than any noise
_HALF = 2.0**-24  # what float32 rounds at most, as a share of a value
_CONSTANT = {
    np.dtype("float32"): 4 * _HALF,
    np.dtype("float64"): 1e-13,
}  # what a few operations leave of a constant


def varies(deviation: np.ndarray, size: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(t,) bool: whether targets of this standard deviation and largest size are more than a constant's rounding."""
    return deviation > _CONSTANT.get(dtype, _CONSTANT[np.dtype("float64")]) * size


def loses(targets: np.ndarray) -> bool:
    """Whether float32 would round one of (n, t) targets by more than a thousandth of its standard deviation."""
    for block in _blocks(targets):
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite, others refuse
            _, deviation, size = moments(block)
            lost = _HALF * size > _SHARE * deviation
            if (lost & varies(deviation, size, targets.dtype)).any():
                return True
    return False


def narrowed(targets: np.ndarray) -> np.ndarray:
    """(n, t) numbers as float32, or as float64 where that `loses`; values that are float32 stay so."""
    if targets.dtype == np.float32:
        return targets
    with np.errstate(over="ignore"):
        return targets.astype(np.float64 if loses(targets) else np.float32, copy=False)


def origin(targets: Targets) -> np.ndarray | None:
    """(t,) float64 means above which targets are taken before they are float32; None where that loses nothing."""
    if not any(loses(block.values) for block in blocks_of(targets)):
        return None
    each = (part for block in blocks_of(targets) for part in _blocks(block.values))
    return np.concatenate([moments(part)[0] for part in each])


def moments(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(t,) means, standard deviations and largest sizes of (n, t) float64; NaN, a target not known, has no part."""
    size = np.abs(block).max(0)
    if not np.isnan(size).any():
        return block.mean(0), block.std(0), size
    known = ~np.isnan(block)
    count, block = np.maximum(known.sum(0), 1), np.where(known, block, 0.0)
    mean = block.sum(0) / count
    above = np.where(known, block - mean[None], 0.0)
    return mean, np.sqrt(np.square(above).sum(0) / count), np.abs(block).max(0)


def _blocks(targets: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, targets.shape[1] if len(targets) else 0, _TARGETS):
        yield targets[:, start : start + _TARGETS].astype(np.float64)
