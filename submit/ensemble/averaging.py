"""Plain and weighted means: members are added up one after another."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from submit.ensemble.matching import combined_kind, in_float64, match_first, name_of, row_slices
from submit.errors import SubmissionError
from submit.predictions import Predictions


def mean(members: Iterable[Predictions], names: Sequence[str] | None = None) -> Predictions:
    """The plain average, in the order of the first member's ids and targets.

    Members are taken one after another and added up in float64, so an iterator that loads them keeps only
    one in memory. Of classes, probabilities are averaged: logits go through a softmax first, for their scale
    differs between networks, and an average of logits would listen most to the most self-assured.
    names: of the members, for messages.
    Raises SubmissionError when ids, targets or kinds differ, or there is no member.
    """
    first, total, parts = added(members, None, names=names)
    total /= len(parts)
    provenance = {"method": "mean", "ensemble": parts}
    return Predictions(first.ids, total, first.targets, combined_kind(first.kind), first.split, provenance)


def weighted(
    members: Iterable[Predictions], weights: Sequence[float], names: Sequence[str] | None = None
) -> Predictions:
    """sum_i w_i values_i / sum_i w_i, otherwise as `mean`. Weights are finite, at least 0 and not all 0."""
    array = np.asarray(weights, np.float64)
    if array.ndim != 1 or not np.isfinite(array).all() or (array < 0).any() or not array.sum() > 0:
        raise SubmissionError(f"weights: expected numbers of at least 0, not all 0; found {list(weights)}.")
    first, total, parts = added(members, list(array), names=names)
    total /= array.sum()
    provenance = {"method": "weighted mean", "ensemble": parts}
    return Predictions(first.ids, total, first.targets, combined_kind(first.kind), first.split, provenance)


def added(
    members: Iterable[Predictions],
    weights: Sequence[float | np.ndarray] | None,
    targets: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> tuple[Predictions, np.ndarray, list[dict[str, Any]]]:
    """The first member, sum_i w_i values_i (n, t) float64, and each one's weight and provenance.

    weights: one a member, a number or (t,); None for 1 each; what has weight 0 counts for nothing, be it NaN.
    targets: the order of targets, default the first's.
    names: of the members, for messages.
    """
    first: Predictions | None = None
    total, parts = np.empty(0), []
    remaining = repeat(1.0) if weights is None else iter(weights)
    for number, member in enumerate(members):
        weight = next(remaining, None)
        if weight is None:
            raise SubmissionError(f"weights: {len(weights or [])} weights for more predictions than that.")
        if first is None:
            first, total = member, np.zeros(member.values.shape, np.float64)
        same = match_first(member, first, name_of(names, number), name_of(names, 0), targets)
        for rows in row_slices(len(same)):
            total[rows] += _times(in_float64(same, rows), weight)
        parts.append({"weight": float(np.mean(weight)), "provenance": dict(member.provenance)})
    if first is None:
        raise SubmissionError("There are no predictions to combine.")
    if weights is not None and len(parts) != len(weights):
        raise SubmissionError(f"weights: {len(weights)} weights for {len(parts)} predictions.")
    return first, total, parts


def _times(values: np.ndarray, weight: float | np.ndarray) -> np.ndarray:
    """values (b, t) times a weight; 0 where it is 0."""
    used = np.asarray(weight) != 0
    return (
        values * weight if used.all() else np.multiply(values, weight, out=np.zeros_like(values), where=used)
    )
