"""Means that only look at the order of things: of samples (rank average) or of members (trimmed mean)."""

from collections.abc import Iterable, Sequence

import numpy as np

from submit.ensemble.matching import (
    combined_kind,
    in_float64,
    match_first,
    name_of,
    refuse_not_finite,
    row_slices,
)
from submit.errors import SubmissionError
from submit.predictions import Predictions

_CELLS = 2**19  # values of each member ranked at a time
_ROUNDING = 1e-9  # of a number of members: 1 / 49 * 49 is less than 1


def rank_average(members: Iterable[Predictions], names: Sequence[str] | None = None) -> Predictions:
    """Each target's samples in the order of their mean rank over members, in the targets' units.

    Ranks are 1 to n for each target and member, those of equal values averaged. The mean rank q becomes the value that
    the mean of the members' sorted values has at place q, between places on the line from one to the next.
    For scores of order and correlation only: a member's scale and offset for a target count for nothing in the
    order of samples, and so does how far apart they are. Members are kept in memory.
    names: of the members, for messages.
    Raises SubmissionError as `mean` does, for values that are not finite, and for scores of classes, which are
    compared within a sample and not among samples.
    """
    kept = _all(members, names)
    first = kept[0]
    if first.kind != "regression":
        raise SubmissionError(
            f"A rank average orders samples by target; predictions of kind {first.kind!r} order classes by sample."
        )
    from scipy.stats import rankdata  # half a second, which other uses of this package need not wait

    n, t = first.values.shape
    out, step = _like(kept), max(1, _CELLS // max(1, n))
    for columns in (slice(i, i + step) for i in range(0, t, step)):
        block = np.stack([member.values[:, columns] for member in kept]).astype(np.float64)
        place = rankdata(block, axis=1).mean(0) - 1
        curve = np.sort(block, axis=1).mean(0)
        below = np.floor(place).astype(np.int64)
        low, high = (np.take_along_axis(curve, np.minimum(below + k, n - 1), 0) for k in (0, 1))
        out[:, columns] = low + (place - below) * (high - low)
    return Predictions(
        first.ids, out, first.targets, "regression", first.split, _provenance("rank average", kept)
    )


def trimmed_mean(
    members: Iterable[Predictions], share: float | None = None, names: Sequence[str] | None = None
) -> Predictions:
    """The mean of each value over the members that are left without the lowest and the highest.

    share: of the members, cut at either end, in 0 to 0.5; rounded down to whole members, as by scipy.stats.trim_mean,
    of which there must be one. None: 0.2, and of fewer than five members one. Of classes, probabilities (see
    `mean`), divided by their sum over classes. Members are kept in memory. names: of the members, for messages.
    Raises SubmissionError as `mean` does, and for values that are not finite.
    """
    kept = _all(members, names)
    first = kept[0]
    if len(kept) < 3:
        raise SubmissionError(f"A trimmed mean needs three predictions or more, found {len(kept)}.")
    if share is None:
        share = max(0.2, 1 / len(kept))
    if not 1 <= (number := share * len(kept) + _ROUNDING) < 0.5 * len(kept):
        raise SubmissionError(
            f"share: expected a number below 0.5 and of at least 1/{len(kept)}, which cuts one of {len(kept)} "
            f"predictions at either end; found {share:g}."
        )
    cut, out = int(number), _like(kept)
    for rows in row_slices(len(out)):
        block = np.sort(np.stack([in_float64(member, rows) for member in kept]), axis=0)
        middle = block[cut : len(kept) - cut].mean(0)
        if first.kind != "regression":
            whole = middle.sum(1, keepdims=True)  # 0 where every class has lost the members that vote for it
            middle = np.where(whole > 0, middle / np.where(whole > 0, whole, 1), block.mean(0))
        out[rows] = middle
    kind, provenance = combined_kind(first.kind), _provenance(f"trimmed mean, {cut} cut at either end", kept)
    return Predictions(first.ids, out, first.targets, kind, first.split, provenance)


def _all(members: Iterable[Predictions], names: Sequence[str] | None) -> list[Predictions]:
    """Every member in the order of the first."""
    kept: list[Predictions] = []
    for number, member in enumerate(members):
        refuse_not_finite(member, name := name_of(names, number))
        kept.append(match_first(member, kept[0], name, name_of(names, 0)) if kept else member)
    if not kept:
        raise SubmissionError("There are no predictions to combine.")
    return kept


def _like(kept: list[Predictions]) -> np.ndarray:
    """Room for a combination, as precise as the most precise member."""
    return np.empty(kept[0].values.shape, np.result_type(*(member.values for member in kept)))


def _provenance(method: str, kept: list[Predictions]) -> dict[str, object]:
    parts = [{"weight": 1 / len(kept), "provenance": dict(member.provenance)} for member in kept]
    return {"method": method, "ensemble": parts}
