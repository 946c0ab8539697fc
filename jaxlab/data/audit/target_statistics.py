"""The distribution of each target: mean, spread and shape."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from jaxlab.core.blocks import Targets, blocks_of

_SKEWED, _TAILED = 1.0, 3.0  # a normal distribution has 0 of both
_FAR = 10.0  # standard deviations
_CELLS = 2**22  # values taken to float64 at a time


@dataclass(frozen=True)
class Moments:
    """Of (n, t) targets, each (t,) float64. skew, kurtosis (excess) and far are 0 for a constant target.

    far: values more than 10 standard deviations from the mean. constant: (t,) bool.
    """

    mean: np.ndarray
    std: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    skew: np.ndarray
    kurtosis: np.ndarray
    far: np.ndarray
    constant: np.ndarray

    @property
    def skewed(self) -> np.ndarray:
        """(t,) bool: |skew| above 1 or excess kurtosis above 3, where a root or logarithm may help."""
        return (np.abs(self.skew) > _SKEWED) | (self.kurtosis > _TAILED)


def moments(targets: Targets) -> Moments:
    """Over the n samples of (n, t) targets, some of them at a time in float64; of several subjects over each one's."""
    parts = []
    for block in blocks_of(targets):
        target = block.values
        chunk = max(1, _CELLS // max(len(target), 1))
        parts += [_moments(target[:, k : k + chunk]) for k in range(0, target.shape[1], chunk)]
    return Moments(*(np.concatenate([part[k] for part in parts]) for k in range(8)))


def _moments(target: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of values that are known: where some of a target are missing (NaN), of it by itself."""
    values = np.asarray(target, np.float64)
    gaps = np.isnan(values)
    if gaps.any():
        known = [column[~gap][:, None] for column, gap in zip(values.T, gaps.T, strict=True)]
        each = [_moments(column if len(column) else np.zeros((1, 1))) for column in known]
        return tuple(np.concatenate(parts) for parts in zip(*each, strict=True))
    mean, std = values.mean(0), values.std(0)
    lowest, highest = values.min(0), values.max(0)
    constant = lowest == highest
    safe = np.where(constant, 1.0, std)
    z = np.where(constant[None], 0.0, (values - mean[None]) / safe[None])
    with np.errstate(invalid="ignore"):
        skew, kurtosis = (np.nan_to_num(of(z, axis=0)) for of in (stats.skew, stats.kurtosis))
    kurtosis = np.where(constant, 0.0, kurtosis)
    return mean, std, lowest, highest, skew, kurtosis, (np.abs(z) > _FAR).sum(0), constant
