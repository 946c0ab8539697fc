"""The long form: one row for each id and target, whose id is made of both, as `img7_n3`."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from submit.alignment import differences
from submit.errors import named

_LOOKED_AT = 100  # ids of the sample from which the separator is learnt
_PAIRS = 2**20  # ids and targets joined at a time


def separators(sample_ids: np.ndarray, ids: np.ndarray, targets: np.ndarray) -> list[str]:
    """What stands between an id and a target in most of the sample's ids; several that do so equally often.

    Empty where more of the sample's ids are ids themselves.
    """
    known, ends = set(ids.tolist()), set(targets.tolist())
    looked_at = sample_ids[:: max(1, len(sample_ids) // _LOOKED_AT)].tolist()
    counts: Counter[str] = Counter()
    for text in looked_at:
        cuts = range(len(text) + 1)
        starts, stops = [k for k in cuts if text[:k] in known], [k for k in cuts if text[k:] in ends]
        counts.update({text[start:stop] for start in starts for stop in stops if start < stop})
    most = max(counts.values(), default=0)
    if most <= sum(text in known for text in looked_at):
        return []
    return sorted(separator for separator, count in counts.items() if count == most)


@dataclass(frozen=True, eq=False)
class LongForm:
    """For each id of the sample (n,): the position of its id in the predictions and that of its target, or -1.

    readings: (n,) how many predicted ids and targets it may stand for.
    """

    rows: np.ndarray
    columns: np.ndarray
    readings: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(n,) bool."""
        return self.readings > 0

    def faults(self, sample_ids: np.ndarray, ids: np.ndarray, targets: np.ndarray) -> list[str]:
        """Names those that can be read in two ways, and predicted ids and targets that none of them asks for."""
        found = []
        twice = sample_ids[self.readings > 1]
        if len(twice):
            found.append(
                f"{len(twice):,} ids of the sample submission can be read as more than one predicted id and target: "
                + named(twice, len(twice))
            )
        asked_ids, asked_targets = np.unique(self.rows[self.found]), np.unique(self.columns[self.found])
        found += differences(ids, ids[asked_ids], "ids", "the predictions")
        return found + differences(targets, targets[asked_targets], "targets", "the predictions")


def long_form(sample_ids: np.ndarray, ids: np.ndarray, targets: np.ndarray, separator: str) -> LongForm:
    """Where each of the sample's ids is to be found: as one of `ids`, the separator and one of `targets`."""
    import pyarrow
    from pyarrow import compute

    wanted, first, last = (pyarrow.array(side, pyarrow.string()) for side in (sample_ids, ids, targets))
    rows, columns = (np.full(len(sample_ids), -1, np.int32) for _ in range(2))
    readings = np.zeros(len(sample_ids), np.int32)
    step = max(1, _PAIRS // len(targets))
    for start in range(0, len(ids), step):
        i = np.repeat(np.arange(start, min(start + step, len(ids)), dtype=np.int32), len(targets))
        j = np.tile(np.arange(len(targets), dtype=np.int32), len(i) // len(targets))
        joined = compute.binary_join_element_wise(
            first.take(pyarrow.array(i)), last.take(pyarrow.array(j)), separator
        )
        places = compute.index_in(joined, value_set=wanted).fill_null(-1).to_numpy()
        there = places >= 0
        rows[places[there]], columns[places[there]] = i[there], j[there]
        readings += np.bincount(places[there], minlength=len(sample_ids)).astype(np.int32)
    return LongForm(rows, columns, readings)
