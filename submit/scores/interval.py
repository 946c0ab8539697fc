"""A score with its 95 % interval, and the three ways to one: samples drawn again, samples left out, samples counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from scipy.special import stdtrit

_LEVEL = 0.975
_Z = 1.959963984540054  # the normal distribution's quantile of that
_FEWEST = 4  # samples of which anything is known


@dataclass(frozen=True)
class Interval:
    """A score, and the two ends of its 95 % interval; NaN where these are undefined, as of fewer than four samples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """A scale on which a score's error is nearly the same wherever the score lies, and the way back."""

    to: Callable[[Any], Any]
    back: Callable[[float], float]


PLAIN = Scale(lambda values: values, float)
CORRELATION = Scale(np.arctanh, lambda z: float(np.tanh(z)))  # Fisher's z
EXPLAINED = Scale(
    lambda share: -np.log1p(-share), lambda z: float(-np.expm1(-z))
)  # of 1 - a ratio of variances


class Estimate(Protocol):
    """A score of some samples, of which is known how far it moves with them."""

    @property
    def value(self) -> float:
        """The score of all samples."""

    def interval(self) -> Interval:
        """With its 95 % interval."""

    def minus(self, other: Self) -> Interval:
        """The difference to another estimate of its kind, of the same samples, with its paired interval."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A score that is no smooth function of the samples, as a median over targets: by draws (d,) of a bootstrap.

    half: (h,) the scores under the first h draws' weights halfway to 1, whose bias is a quarter of a draw's. The
    difference of the two means tells the bias without the roughness of a single median, and both its own share in the
    score and that in the draws are taken away; between the percentiles of what is left lies the interval, on `scale`.
    samples: how many are drawn from.
    """

    value: float
    draws: np.ndarray
    half: np.ndarray
    samples: int
    scale: Scale = PLAIN

    def interval(self) -> Interval:
        """As `Estimate`."""
        if self.samples < _FEWEST:
            return Interval(float(self.value), np.nan, np.nan)
        with np.errstate(all="ignore"):
            draws, half = self.scale.to(self.draws), self.scale.to(self.half)
        if self.scale is not PLAIN and not (np.isfinite(draws).all() and np.isfinite(half).all()):
            return Drawn(self.value, self.draws, self.half, self.samples).interval()
        first = draws[: len(half)].mean()
        bias = 4 / 3 * (first - half.mean())
        low, high = np.percentile(draws, [2.5, 97.5]) - first + half.mean() - 5 / 4 * bias
        return Interval(float(self.value), self.scale.back(low), self.scale.back(high))

    def minus(self, other: "Drawn") -> Interval:
        """As `Estimate`."""
        draws, half = self.draws - other.draws, self.half - other.half
        return Drawn(self.value - other.value, draws, half, self.samples).interval()


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A mean: by the jackknife, from its values (g,) without each of g parts of the samples, and the parts' sizes (g,).

    The bias that a correlation of n samples has, about -r(1 - r^2) / 2n, does not average out over targets, and a
    bootstrap doubles it; the jackknife takes it away. The interval is Student's, of g - 1 degrees of freedom, on
    `scale`. Of unequal parts: Busing, Meijer & van der Leeden (1999), Delete-m jackknife for unequal m.
    """

    value: float
    without: np.ndarray
    sizes: np.ndarray
    scale: Scale = PLAIN

    def interval(self) -> Interval:
        """As `Estimate`."""
        samples, parts = int(self.sizes.sum()), len(self.sizes)
        with np.errstate(all="ignore"):
            whole, each = self.scale.to(np.float64(self.value)), self.scale.to(self.without)
        if samples < _FEWEST or not np.isfinite(self.without).all():
            return Interval(float(self.value), np.nan, np.nan)
        if (self.without == self.value).all():
            return Interval(float(self.value), float(self.value), float(self.value))
        if not (np.isfinite(whole) and np.isfinite(each).all()):  # a correlation of 1 has no z
            return LeftOut(self.value, self.without, self.sizes).interval()
        share = samples / self.sizes
        unbiased = parts * whole - ((1 - 1 / share) * each).sum()
        # a bias of b / (n - 2), as a correlation's, and not b / n
        centre = whole + (unbiased - whole) * (samples - 3) / (samples - 1)
        pseudo = share * whole - (share - 1) * each
        half = stdtrit(parts - 1, _LEVEL) * np.sqrt(((pseudo - unbiased) ** 2 / (share - 1)).mean())
        return Interval(float(self.value), self.scale.back(centre - half), self.scale.back(centre + half))

    def minus(self, other: "LeftOut") -> Interval:
        """As `Estimate`."""
        return LeftOut(self.value - other.value, self.without - other.without, self.sizes).interval()


@dataclass(frozen=True, eq=False)
class Counted:
    """A share of samples, (n,) bool: Wilson's interval (1927), which is within 0 to 1 and never nothing."""

    hits: np.ndarray

    @property
    def value(self) -> float:
        """As `Estimate`."""
        return float(self.hits.mean())

    def interval(self) -> Interval:
        """As `Estimate`."""
        n, p = len(self.hits), self.value
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n))
        return Interval(p, float(max(middle - half, 0)), float(min(middle + half, 1)))

    def minus(self, other: "Counted") -> Interval:
        """As `Estimate`; Wald's with half a sample more of each kind (Agresti & Min 2005)."""
        n = len(self.hits) + 2
        gained, lost = ((a & ~b).sum() + 0.5 for a, b in ((self.hits, other.hits), (other.hits, self.hits)))
        middle = (gained - lost) / n
        half = _Z * np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
        return Interval(self.value - other.value, float(max(middle - half, -1)), float(min(middle + half, 1)))
