"""Whether probabilities are what they say: calibration error, and the temperature that makes it small.

A sample is predicted as its likeliest class, of equal ones the first, and its confidence is that class's probability.
Truth (n,) is class numbers, -1 for a class that is none of these, which nobody can be right about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from submit.blocks import CELLS
from submit.errors import SubmissionError
from submit.late import Late
from submit.metrics.classification import check_numbers

if TYPE_CHECKING:
    from scipy import optimize, special
else:
    optimize, special = map(Late, ("scipy.optimize", "scipy.special"))

BINS = 15
PARTS = 5
HOTTEST = (
    100.0  # a temperature beyond, or below its inverse, is none: the samples say nothing, or are told apart
)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Samples by confidence, bin k of b for those above (k - 1) / b and up to k / b.

    samples: (b,) how many. confidence, accuracy: (b,) their means, NaN of none.
    """

    samples: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over samples of |accuracy - confidence| of their bin."""
        shares = self.samples / self.samples.sum()
        return float(np.nansum(shares * np.abs(self.accuracy - self.confidence)))


def reliability(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> Reliability:
    """The samples of probabilities (n, c) by confidence. Raises SubmissionError where these are none."""
    probabilities, truth = _checked(probabilities, truth)
    if bins < 1:
        raise SubmissionError(f"bins: expected 1 or more; found {bins}.")
    sums = probabilities.sum(1, dtype=np.float64)
    if probabilities.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise SubmissionError(
            "probabilities: expected rows of 0 or more that add up to 1; found a lowest value of "
            f"{probabilities.min():.4g} and rows of {sums.min():.4g} to {sums.max():.4g}."
        )
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == truth
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)  # an edge belongs to the bin below
    samples = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, bins) / samples for values in (confidence, right)]
    return Reliability(samples, *means)


def calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error of the likeliest class, 0 to 1 (Guo et al. 2017, equation 3; bins of one width).

    probabilities: (n, c). Raises SubmissionError for other shapes, and for rows that are no probabilities.
    """
    return reliability(probabilities, truth, bins).error


def log_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean -log softmax(logits) of the true class, in nats, over the samples of a known class; NaN of none."""
    logits, truth = _known(logits, truth)
    losses = [special.logsumexp(z, axis=1) - z[np.arange(len(z)), y] for z, y in _rows(logits, truth)]
    return float(np.concatenate(losses).mean()) if losses else float("nan")


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The T > 0 at which softmax(logits / T) has the least log loss (Guo et al. 2017, section 4.2).

    logits: (n, c), or logarithms of probabilities. Between 0.01, where all samples are told apart, and 100, where
    chance would do better; 1 where no temperature changes anything. Raises SubmissionError for other shapes.
    """
    logits, truth = _known(logits, truth)
    slope = partial(_slope, logits, truth)
    ends = np.array([-1, 1]) * np.log(
        HOTTEST
    )  # of log 1 / T, in which the loss has one minimum: it is convex in 1 / T
    low, high = (slope(end) for end in ends)
    if low >= 0 or high <= 0:
        return 1.0 if low == high == 0 else float(np.exp(-ends[0] if low >= 0 else -ends[1]))
    return float(np.exp(-optimize.brentq(slope, *ends, xtol=1e-9)))


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(n, c) float32 probabilities softmax(logits / temperature)."""
    logits = np.asarray(logits)
    out = np.empty(logits.shape, np.float32)
    for first, z in _blocks(logits):
        z = z / temperature
        out[first : first + len(z)] = np.exp(z - special.logsumexp(z, axis=1, keepdims=True))
    return out


def cross_fitted(logits: np.ndarray, truth: np.ndarray, parts: int = PARTS) -> tuple[np.ndarray, np.ndarray]:
    """(n, c) logits / T, each sample's T fitted to the samples of the other parts, and the temperatures (parts,).

    Sample i is of part i mod `parts`, so that neighbours, as of one class, are in different ones; of few samples each
    is a part. Raises SubmissionError for fewer than two samples.
    """
    logits, truth = _checked(logits, truth)
    parts = min(parts, len(logits))
    if parts < 2:
        raise SubmissionError(
            f"a temperature is fitted to other samples: expected two or more; found {len(logits)}."
        )
    part = np.arange(len(logits)) % parts
    fitted = np.array([temperature(logits[part != k], truth[part != k]) for k in range(parts)])
    return logits / fitted[part, None].astype(logits.dtype), fitted


def _slope(logits: np.ndarray, truth: np.ndarray, log_inverse: float) -> float:
    """The derivative of the summed log loss of softmax(b z) in b = 1 / T: sum over samples of mean z - true z."""
    total = 0.0
    for z, y in _rows(logits, truth):
        z = z - z.max(1, keepdims=True)
        weights = np.exp(np.exp(log_inverse) * z)
        total += float(((weights * z).sum(1) / weights.sum(1) - z[np.arange(len(z)), y]).sum())
    return total


def _checked(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, truth = np.asarray(values), np.asarray(truth)
    if (
        values.ndim != 2
        or truth.shape != values.shape[:1]
        or not values.size
        or values.dtype.kind not in "fiu"
    ):
        raise SubmissionError(
            f"expected numbers (n, classes) and truth (n,), n > 0; found {values.dtype} {values.shape}, {truth.shape}."
        )
    check_numbers(truth, values.shape[1])
    if bad := int((~np.isfinite(values).all(1)).sum()):
        raise SubmissionError(f"{bad:,} samples have scores that are not finite.")
    return (values if values.dtype.kind == "f" else values.astype(np.float64)), truth


def _known(logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those of the samples of a known class."""
    logits, truth = _checked(logits, truth)
    return (logits, truth) if truth.min() >= 0 else (logits[truth >= 0], truth[truth >= 0])


def _rows(logits: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for first, block in _blocks(logits):
        yield block, truth[first : first + len(block)]


def _blocks(logits: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, float64 rows), a few at a time."""
    step = max(1, CELLS // logits.shape[1])
    for first in range(0, len(logits), step):
        yield first, logits[first : first + step].astype(np.float64)
