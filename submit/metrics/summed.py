"""Scores as functions of sums over samples: where a bootstrap weighs samples anew, only sums are made again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Terms = dict[str, np.ndarray]

_ROUNDING = 1e-12  # a variance below this share of the mean square is what float64 leaves of a constant


@dataclass(frozen=True)
class Summed:
    """terms: arrays (n, ..., b) -> name -> (n, b) or (n, 1); score: their sums over samples, (..., b) -> (..., b).

    Weighted sums are as good as plain ones, where weight 2 stands for a sample that is there twice. A score that is
    undefined is NaN.
    """

    terms: Callable[..., Terms]
    score: Callable[[Terms], np.ndarray]

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """(b,) the score of all samples, each once."""
        return self.score({name: values.sum(0) for name, values in self.terms(*arrays).items()})


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
    return moments(x - x.mean(0), y - y.mean(0), np.ones((len(x), 1)))


def _error_terms(x: np.ndarray, y: np.ndarray) -> Terms:
    centred = y - y.mean(0)
    return {"count": np.ones((len(x), 1)), "y": centred, "yy": centred**2, "error": (y - x) ** 2}


def _explained(sums: Terms) -> np.ndarray:
    xx, yy, xy = squares(sums)
    return 1 - ratio(xx + yy - 2 * xy, yy)


PEARSON = Summed(_pair_terms, correlation)
EXPLAINED_VARIANCE = Summed(_pair_terms, _explained)
R2 = Summed(_error_terms, lambda sums: 1 - ratio(sums["error"], _square(sums, "y")))
