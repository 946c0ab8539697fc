"""One prediction out of several, matched by id and target name."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np

from submit.align import align
from submit.errors import SubmissionError
from submit.predictions import Predictions

_ROWS = 64  # added at a time


def mean(members: Iterable[Predictions]) -> Predictions:
    """The plain average, in the order of the first member's ids and targets.

    Members are taken one after another and added up in float64, so an iterator that loads them keeps only
    one in memory. Raises SubmissionError when ids, targets or kinds differ, or there is no member.
    """
    return _combine(members, None)


def weighted(members: Iterable[Predictions], weights: Sequence[float]) -> Predictions:
    """sum_i w_i values_i / sum_i w_i, otherwise as `mean`. Weights are finite, at least 0 and not all 0."""
    array = np.asarray(weights, np.float64)
    if array.ndim != 1 or not np.isfinite(array).all() or (array < 0).any() or not array.sum() > 0:
        raise SubmissionError(f"weights: expected numbers of at least 0, not all 0; found {list(weights)}.")
    return _combine(members, array.tolist())


def _combine(members: Iterable[Predictions], weights: list[float] | None) -> Predictions:
    first: Predictions | None = None
    total, used, parts = np.empty(0), 0.0, []
    remaining = repeat(1.0) if weights is None else iter(weights)
    for number, member in enumerate(members, start=1):
        weight = next(remaining, None)
        if weight is None:
            raise SubmissionError(f"weights: {len(weights or [])} weights for more predictions than that.")
        if first is None:
            first, total = member, np.zeros(member.values.shape, np.float64)
        values = _matched(member, first, number).values
        for rows in (slice(i, i + _ROWS) for i in range(0, len(values), _ROWS)):
            total[rows] += np.multiply(values[rows], weight, dtype=np.float64)
        used += weight
        parts.append({"weight": weight, "provenance": dict(member.provenance)})
    if first is None:
        raise SubmissionError("There are no predictions to combine.")
    if weights is not None and len(parts) != len(weights):
        raise SubmissionError(f"weights: {len(weights)} weights for {len(parts)} predictions.")
    total /= used
    return Predictions(first.ids, total, first.targets, first.kind, first.split, {"ensemble": parts})


def _matched(member: Predictions, first: Predictions, number: int) -> Predictions:
    if member.kind != first.kind:
        raise SubmissionError(f"Prediction {number} is of kind {member.kind!r}, the first of {first.kind!r}.")
    try:
        return align(member, first.ids, first.targets)
    except SubmissionError as error:
        raise SubmissionError(f"Prediction {number} does not match the first: {error}") from error
