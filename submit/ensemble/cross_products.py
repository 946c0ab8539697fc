"""Regression: sums of products of members and truth, from which every correlation of a combination follows.

For predictions p (m,) of a target and its truth y, sum (w'p) y = w' sum p y and sum (w'p)^2 = w' (sum p p') w, so once
these sums over samples are known no combination costs a pass over them. They are kept by part, in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np

Statistic = Literal["mean", "median"]

_CELLS = 2**20  # values of members and truth taken to float64 at a time
_ROUNDING = 1e-12  # so small a share of the mean square is no variance


@dataclass(frozen=True, eq=False)
class CrossProducts:
    """counts (k,) samples by part; sums (k, t, m + 1) and products (k, t, m + 1, m + 1) of members, then truth.

    centre: (t, m + 1) means over all samples, which the sums are taken about. known: (t,) whether the truth is finite;
    where not, it counts as constant. group: (t,) the row of weights that a target takes. statistic: over
    the targets' Pearson r; a target without a defined r counts 0, as in `submit.score`, unless none has one.
    """

    counts: np.ndarray
    sums: np.ndarray
    products: np.ndarray
    centre: np.ndarray
    known: np.ndarray
    group: np.ndarray
    statistic: Statistic = "mean"

    @classmethod
    def of(
        cls,
        members: Sequence[np.ndarray],
        truth: np.ndarray,
        part: np.ndarray,
        group: np.ndarray,
        statistic: Statistic,
    ) -> "CrossProducts":
        """From members and truth (n, t) and the part (n,) of each sample, some targets at a time."""
        (n, t), k, m = truth.shape, int(part.max()) + 1, len(members)
        sums, products = np.empty((k, t, m + 1)), np.empty((k, t, m + 1, m + 1))
        centre, known = np.empty((t, m + 1)), np.empty(t, bool)
        step = max(1, _CELLS // (n * (m + 1)))
        for at in (slice(i, i + step) for i in range(0, t, step)):
            known[at] = np.isfinite(truth[:, at]).all(0)
            block = np.stack(
                [*(side[:, at] for side in members), np.where(known[at], truth[:, at], 0)], axis=2
            )
            block = block.astype(np.float64)
            centre[at] = block.mean(0)
            block -= centre[at]
            for j in range(k):
                rows = block[part == j].transpose(1, 0, 2)
                sums[j, at] = rows.sum(1)
                products[j, at] = np.matmul(rows.transpose(0, 2, 1), rows)
        return cls(np.bincount(part), sums, products, centre, known, group, statistic)

    @property
    def metric(self) -> str:
        """What the scores are, by its name in `submit.metrics.table`."""
        return "pearson" if self.statistic == "mean" else "pearson_median"

    @property
    def members(self) -> int:
        """m."""
        return self.sums.shape[2] - 1

    @property
    def parts(self) -> int:
        """k."""
        return len(self.counts)

    def without(self, part: int) -> Self:
        """The samples of the other parts."""
        fields = {name: np.delete(getattr(self, name), part, 0) for name in ("counts", "sums", "products")}
        return replace(self, **fields)

    def blocks(self) -> Iterator[Self]:
        """A few targets after others, with all parts and members: views, of which little is made at a time."""
        step = max(1, _CELLS // self.products[:, 0].size)
        for at in (slice(i, i + step) for i in range(0, len(self.group), step)):
            by_part = {name: getattr(self, name)[:, at] for name in ("sums", "products")}
            by_target = {name: getattr(self, name)[at] for name in ("centre", "known", "group")}
            yield replace(self, **by_part, **by_target)

    @cached_property
    def covariance(self) -> np.ndarray:
        """(t, m + 1, m + 1) sums of products about the mean of the samples that are here."""
        sums, products = self.sums.sum(0), self.products.sum(0)
        centred = products - sums[:, :, None] * sums[:, None, :] / self.counts.sum()
        varies = _positive(_diagonal(centred), _diagonal(products)) > 0
        return centred * (varies[:, :, None] & varies[:, None, :])

    def offset(self, rows: np.ndarray) -> np.ndarray:
        """(t,) what a sum with these weights (g, m) lacks to have the truth's mean, or where unknown the members'."""
        means, truth = self.centre[:, :-1], self.centre[:, -1]
        return np.where(self.known, truth, means.mean(1)) - (means * rows[self.group]).sum(1)

    def score(self, weights: Sequence[np.ndarray]) -> float:
        """Mean or median Pearson r of all samples' predictions, those of a part combined by its own weights (g, m)."""
        return float(self.over_targets(self._correlations(weights)))

    def _correlations(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        """(t,) the Pearson r that `score` is of, NaN where it is undefined."""
        t = len(self.group)
        total, square, cross = np.zeros(t), np.zeros(t), np.zeros(t)
        for sums, products, rows in zip(self.sums, self.products, weights, strict=True):
            w = rows[self.group]
            total += (sums[:, :-1] * w).sum(1)
            square += (np.matmul(products[:, :-1, :-1], w[:, :, None])[:, :, 0] * w).sum(1)
            cross += (products[:, :-1, -1] * w).sum(1)
        return self.correlation(total[:, None], square[:, None], cross[:, None])[:, 0]

    def correlation(self, total: np.ndarray, square: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """(t, c) Pearson r of c predictions of each target, from sums (t, c) over all samples; NaN where undefined.

        A prediction is sum_i w_i (p_i - mean of p_i over all samples); cross: its products with the truth. No mean of
        the truth over the samples learned from enters: it is the lower, the higher the truth of the others, and would
        take r below 0 by chance.
        """
        n = self.counts.sum()
        truth, truth_square = self.sums[:, :, -1].sum(0), self.products[:, :, -1, -1].sum(0)
        variance = _positive(square - total**2 / n, square)
        of_truth = _positive(truth_square - truth**2 / n, truth_square)
        return _correlation(cross - total * truth[:, None] / n, variance, of_truth[:, None])

    def alone(self) -> np.ndarray:
        """(t, m) the Pearson r of each member, NaN where it is undefined."""
        return self._one_more(np.zeros(self.members))

    def with_one_more(self, counts: np.ndarray) -> np.ndarray:
        """(m,) scores, each of a mean in which member i is counts[i] times (m,) and one of them once more."""
        return self.over_targets(self._one_more(counts))

    def _one_more(self, counts: np.ndarray) -> np.ndarray:
        both = self.covariance
        inner, cross = both[:, :-1, :-1], both[:, :-1, -1]
        with_sum = inner @ counts  # (t, m), of each member and the sum so far
        square = (with_sum @ counts)[:, None] + 2 * with_sum + _diagonal(inner)
        return _correlation((cross @ counts)[:, None] + cross, square, both[:, -1, -1][:, None])

    def over_targets(self, r: np.ndarray) -> np.ndarray:
        """Of r (t, ...), `score`. An undefined r counts 0 where another is defined; where none is, so is the score."""
        known = np.where(np.isnan(r), 0, r)
        over = np.mean(known, axis=0) if self.statistic == "mean" else np.median(known, axis=0)
        return np.where(np.isnan(r).all(0), np.nan, over)


def _diagonal(matrices: np.ndarray) -> np.ndarray:
    return np.diagonal(matrices, axis1=1, axis2=2)


def _positive(centred: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """A sum of centred squares, 0 where it is no more than rounding of the sum of squares."""
    return np.where(centred > _ROUNDING * raw, centred, 0)


def _correlation(cross: np.ndarray, square: np.ndarray, truth_square: np.ndarray) -> np.ndarray:
    size = np.sqrt(square * truth_square)
    return np.clip(np.divide(cross, size, out=np.full_like(cross, np.nan), where=size > 0), -1, 1)
