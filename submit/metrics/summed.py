"""Scores as functions of sums over samples: where a bootstrap weighs samples anew, only sums are made again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Terms = dict[str, np.ndarray]

_ROUNDING = 1e-12  # a variance below this share of the mean square is what float64 leaves of a constant


@dataclass(frozen=True)
class Summed:
    """terms: arrays (n, ..., b) -> name -> (n, b) or (n, 1), or (b,) where it is no sum. score: of their sums over
    samples, (..., b) -> (..., b).

    Weighted sums are as good as plain ones, where weight 2 stands for a sample that is there twice. A score that is
    undefined is NaN.
    """

    terms: Callable[..., Terms]
    score: Callable[[Terms], np.ndarray]

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """(b,) the score of all samples, each once."""
        return self.score(summed(self.terms(*arrays), lambda values: values.sum(0)))


def summed(terms: Terms, over_samples: Callable[[np.ndarray], np.ndarray]) -> Terms:
    """The terms as a score takes them, of what `over_samples` makes of (n, b)."""
    return {name: values if values.ndim == 1 else over_samples(values) for name, values in terms.items()}


def moments(x: np.ndarray, y: np.ndarray, count: np.ndarray) -> Terms:
    """Terms of x and y (n, b), of which sample i counts count (n, b or 1) times.

    For precision both lie about a point near their mean; nothing that `variances` gives depends on it.
    """
    return {
        "count": count,
        "x": count * x,
        "y": count * y,
        "xx": count * x * x,
        "yy": count * y * y,
        "xy": count * x * y,
    }


def squares(sums: Terms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sum (x - mean x)^2, sum (y - mean y)^2 and sum (x - mean x)(y - mean y); 0 for the square of a constant."""
    xx, yy = (_square(sums, name) for name in ("x", "y"))
    return xx, yy, sums["xy"] - sums["x"] * sums["y"] / sums["count"]


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where `below` is not above 0."""
    return np.where(below > 0, above / below, np.nan)


def correlation(sums: Terms) -> np.ndarray:
    """Pearson r of x and y."""
    xx, yy, xy = squares(sums)
    return np.clip(ratio(xy, np.sqrt(xx * yy)), -1, 1)


def _square(sums: Terms, name: str) -> np.ndarray:
    mean_square = sums[name * 2]
    square = mean_square - sums[name] ** 2 / sums["count"]
    return np.where(square <= _ROUNDING * mean_square, 0, square)


def _pair_terms(x: np.ndarray, y: np.ndarray) -> Terms:
    """Moments about the means, and how far apart these are."""
    means = x.mean(0), y.mean(0)
    x, y = x - means[0], y - means[1]
    return {
        "count": np.ones((len(x), 1)),
        **{"x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y},
        "offset": means[0] - means[1],
    }


def _squared_errors(sums: Terms) -> np.ndarray:
    """sum (x - y)^2, each as it was before the means were taken off."""
    about_means = sums["xx"] + sums["yy"] - 2 * sums["xy"]
    return about_means + sums["offset"] * (2 * (sums["x"] - sums["y"]) + sums["offset"] * sums["count"])


def _explained(sums: Terms) -> np.ndarray:
    xx, yy, xy = squares(sums)
    return 1 - ratio(xx + yy - 2 * xy, yy)


PEARSON = Summed(_pair_terms, correlation)
EXPLAINED_VARIANCE = Summed(_pair_terms, _explained)
R2 = Summed(_pair_terms, lambda sums: 1 - ratio(_squared_errors(sums), _square(sums, "y")))
