"""What weights are learned from, in parts for cross-validation, and the honest score of a way to learn them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

_ROUNDS = 50  # of greedy selection: weights are multiples of 1/50 or coarser


class Weights(NamedTuple):
    """rows: (g, m), one for each group of targets. penalty, kept: as `Combination` has them, where there is one."""

    rows: np.ndarray
    penalty: float | None = None
    kept: int | None = None


class Evidence(Protocol):
    """Validation predictions and truth, whichever way they are kept."""

    @property
    def metric(self) -> str:
        """What the scores are, by its name in `submit.metrics.table`; the higher the better."""

    @property
    def members(self) -> int:
        """m."""

    @property
    def parts(self) -> int:
        """How many parts the samples are divided into."""

    def without(self, part: int) -> Self:
        """The samples of the other parts."""

    def score(self, weights: Sequence[np.ndarray]) -> float:
        """Of all samples' predictions together, those of a part combined by its own weights (g, m)."""

    def with_one_more(self, counts: np.ndarray) -> np.ndarray:
        """(m,) scores, each of a mean in which member i is counts[i] times (m,) and one of them once more."""


def weights_by_part(evidence: Evidence, learner: Callable[[Any], Weights]) -> list[np.ndarray]:
    """For each part the weights learned from the other parts, by which `Evidence.score` combines it."""
    return [learner(evidence.without(part)).rows for part in range(evidence.parts)]


def singles(evidence: Evidence) -> np.ndarray:
    """(m,) the score of each member alone; NaN where it has none, as of a constant one."""
    return evidence.with_one_more(np.zeros(evidence.members))


def best_single(evidence: Evidence) -> Weights:
    """All weight on the member with the best score, the first of equal ones; of undefined ones on all."""
    scores = singles(evidence)
    if np.isnan(scores).all():
        return uniform(evidence)
    return Weights(np.eye(evidence.members)[[np.nanargmax(scores)]])


def uniform(evidence: Evidence) -> Weights:
    """Equal weights: the mean."""
    return Weights(np.full((1, evidence.members), 1 / evidence.members))


def greedy_selection(evidence: Evidence) -> Weights:
    """Selection with replacement (Caruana et al. 2004, Ensemble selection from libraries of models).

    From nothing on, each round adds the member after which the mean of all that were added scores best, the first of
    equal ones, whether or not it is in already. The weights are the shares of the selection at its best round, the
    first of equal ones.
    """
    counts = np.zeros(evidence.members)
    best, kept = -np.inf, counts
    for _ in range(_ROUNDS):
        scores = np.nan_to_num(
            evidence.with_one_more(counts), nan=-np.inf
        )  # what is undefined is never added
        if np.isneginf(scores).all():
            return Weights((kept / kept.sum())[None]) if kept.any() else uniform(evidence)
        chosen = int(np.argmax(scores))
        counts[chosen] += 1
        if scores[chosen] > best:
            best, kept = float(scores[chosen]), counts.copy()
    return Weights((kept / kept.sum())[None])
