"""Matching by name: samples by id, targets by target name. Nothing is ever joined by position."""

from dataclasses import replace
from typing import overload

import numpy as np
import pandas as pd

from submit.errors import SubmissionError, named
from submit.labels import Labels
from submit.near_names import difference, mistyped
from submit.predictions import Predictions, names


def differences(have: np.ndarray, want: np.ndarray, what: str, where: str) -> list[str]:
    """Sentences on names that are wanted and absent, or present and not wanted; empty when the sets agree.

    Where some of the ones are like some of the others, the last says in what.
    """
    if np.array_equal(have, want):
        return []
    missing, extra = _absent(have, want), pd.unique(pd.Series(_absent(want, have)))
    found = []
    if len(missing):
        found.append(f"{len(missing):,} {what} missing from {where}: {named(missing, len(missing))}")
    if len(extra):
        found.append(f"{len(extra):,} {what} in {where} that are not expected: {named(extra, len(extra))}")
    if not (len(missing) and len(extra)):
        return found
    near = difference(missing.tolist(), extra.tolist()) or mistyped(missing.tolist(), extra.tolist())
    if len(missing) == len(want):
        found.append(f"no {what} agree (they are compared as text, so '1' is not '0001')")
    return [*found, f"{what}: {near}"] if near else found


def _absent(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Those of `want` that are not in `have`; `isin` takes ten times as long for a million names."""
    return want[pd.Index(have).unique().get_indexer(pd.Index(want)) < 0]


def matched(have: np.ndarray, want: np.ndarray, what: str, where: str) -> np.ndarray | slice:
    """Where each wanted name lies in `have`, both unique; a slice when they are in order already.

    Raises SubmissionError unless both hold the same names.
    """
    found = differences(have, want, what, where)
    if found:
        raise SubmissionError("; ".join(found) + ".")
    return positions(have, want)


def positions(have: np.ndarray, want: np.ndarray) -> np.ndarray | slice:
    """As `matched`, of names that are known to be the same."""
    if np.array_equal(have, want):
        return slice(None)
    return pd.Index(have).get_indexer(pd.Index(want))


def align(predictions: Predictions, ids: np.ndarray, targets: np.ndarray | None = None) -> Predictions:
    """The same predictions with samples in the order of `ids` and targets in the order of `targets` (or as they are).

    Raises SubmissionError when ids or targets are missing, repeated or not expected, with the first few and counts.
    """
    ids = names(ids, "the ids to align to")
    targets = predictions.targets if targets is None else names(targets, "the targets to align to")
    found = differences(predictions.ids, ids, "ids", "the predictions")
    found += differences(predictions.targets, targets, "targets", "the predictions")
    if found:
        raise SubmissionError("; ".join(found) + ".")
    values = predictions.values[positions(predictions.ids, ids)][:, positions(predictions.targets, targets)]
    return replace(predictions, ids=ids, values=values, targets=targets)


@overload
def without_ids(side: Predictions, ids: np.ndarray) -> Predictions: ...
@overload
def without_ids(side: Labels, ids: np.ndarray) -> Labels: ...
def without_ids(side: Predictions | Labels, ids: np.ndarray) -> Predictions | Labels:
    """`side` without the samples of these ids; itself where there are no ids.

    Raises SubmissionError when none of them is there, or all are.
    """
    if not len(ids):
        return side
    kept = ~pd.Index(side.ids).isin(ids)
    if kept.all() or not kept.any():
        found = "all" if not kept.any() else "none"
        raise SubmissionError(
            f"expected some of the {len(side.ids):,} ids to be left out, found {found} of them among the {len(ids):,} "
            f"that are to be ({named(ids, len(ids))})."
        )
    return _rows(side, kept)


@overload
def passing_over(side: Predictions, ids: np.ndarray) -> Predictions: ...
@overload
def passing_over(side: Labels, ids: np.ndarray) -> Labels: ...
def passing_over(side: Predictions | Labels, ids: np.ndarray) -> Predictions | Labels:
    """`side` without those of its samples that have these ids, if there are any."""
    kept = ~pd.Index(side.ids).isin(ids)
    return side if kept.all() else _rows(side, kept)


@overload
def with_ids(side: Predictions, ids: np.ndarray) -> Predictions: ...
@overload
def with_ids(side: Labels, ids: np.ndarray) -> Labels: ...
def with_ids(side: Predictions | Labels, ids: np.ndarray) -> Predictions | Labels:
    """The samples of `side` with these ids, or `side` itself where it has none of them."""
    kept = pd.Index(side.ids).isin(ids)
    return side if kept.all() or not kept.any() else _rows(side, kept)


def _rows(side: Predictions | Labels, kept: np.ndarray) -> Predictions | Labels:
    if isinstance(side, Labels):
        return replace(side, ids=side.ids[kept], labels=side.labels[kept])
    return replace(side, ids=side.ids[kept], values=side.values[kept])
