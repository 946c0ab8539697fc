"""Classes: probabilities of members and the true class, scored by accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np


@dataclass(frozen=True, eq=False)
class Votes:
    """values (m, n, c) probabilities; truth (n,) class numbers, part (n,) part numbers, from 0."""

    values: np.ndarray
    truth: np.ndarray
    part: np.ndarray

    @property
    def metric(self) -> str:
        """What the scores are, by its name in `submit.metrics.table`."""
        return "accuracy"

    @property
    def members(self) -> int:
        """m."""
        return len(self.values)

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return int(self.part.max()) + 1

    def without(self, part: int) -> Self:
        """The samples of the other parts."""
        kept = self.part != part
        part_numbers = np.unique(self.part[kept], return_inverse=True)[1]
        return replace(self, values=self.values[:, kept], truth=self.truth[kept], part=part_numbers)

    def score(self, weights: Sequence[np.ndarray]) -> float:
        """Accuracy over all samples, those of a part combined by its own weights (1, m)."""
        right = 0.0
        for part, (row,) in enumerate(weights):
            rows = self.part == part
            right += self._right(np.tensordot(row, self.values[:, rows], 1), self.truth[rows])
        return right / len(self.truth)

    def with_one_more(self, counts: np.ndarray) -> np.ndarray:
        """(m,) accuracies, each of a mean in which member i is counts[i] times (m,) and one of them once more."""
        total = np.tensordot(counts, self.values, 1)
        return np.array([self._right(total + one, self.truth) for one in self.values]) / len(self.truth)

    @staticmethod
    def _right(scores: np.ndarray, truth: np.ndarray) -> int:
        return int((scores.argmax(1) == truth).sum())
