"""The samples that weights are learned from: those that all members share, with their truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from submit.alignment import align, differences, positions
from submit.ensemble.cross_products import CrossProducts, Statistic
from submit.ensemble.matching import combined_kind, in_float64, refuse_not_finite
from submit.ensemble.votes import Votes
from submit.errors import SubmissionError, named
from submit.labels import Labels
from submit.metrics.regression import degenerate
from submit.predictions import Predictions, ValueKind

_FEWEST = 20  # samples
_PARTS = 5
_HONEST = ("validation", "out_of_fold", "")  # splits that a network did not learn from; a CSV does not say


@dataclass(frozen=True, eq=False)
class SharedSamples:
    """Members and truth in one order of samples, the first member's, and of targets, the truth's or the first member's.

    Arrays that are in this order already are not copied.

    truth: (n, t) of a regression, (n,) class numbers otherwise. names: of members, for messages.
    """

    members: list[Predictions]
    truth: np.ndarray
    names: tuple[str, ...]

    @property
    def ids(self) -> np.ndarray:
        """(n,) those that all members have."""
        return self.members[0].ids

    @property
    def kind(self) -> ValueKind:
        """What a combination is."""
        return combined_kind(self.members[0].kind)

    @property
    def targets(self) -> np.ndarray:
        """(t,) names."""
        return self.members[0].targets

    @classmethod
    def of(
        cls,
        members: Sequence[Predictions],
        truth: Predictions | Labels,
        names: Sequence[str] | None = None,
    ) -> "SharedSamples":
        """Those of the ids that all members have.

        Raises SubmissionError, with names, counts and ids, for members of a split such as "test", of another kind,
        with other targets or values that are not finite, where fewer than 20 ids are shared, the truth lacks some, or
        has no target that is finite and varies.
        """
        names = tuple(names or (f"Prediction {number}" for number in range(1, len(members) + 1)))
        if faults := _faults(members, truth, names):
            raise SubmissionError("\n".join(faults))
        first, *others = (pd.Index(member.ids) for member in members)
        shared = members[0].ids[np.all([first.isin(other) for other in others], axis=0)]
        if len(shared) < _FEWEST:
            found = ", ".join(f"{name} {len(member):,}" for name, member in zip(names, members, strict=True))
            raise SubmissionError(
                f"{len(shared)} ids are predicted by all members; expected {_FEWEST} or more to learn weights from. "
                f"Labelled samples predicted: {found}. Members that are validated on the same samples share more, and "
                "those with out-of-fold predictions (`jaxlab train --folds`) all."
            )
        lacking = np.sort(shared[~pd.Index(shared).isin(truth.ids)])
        if len(lacking):
            raise SubmissionError(
                f"The truth lacks {len(lacking):,} of the {len(shared):,} ids that all members predict: "
                f"{named(lacking, len(lacking))}."
            )
        targets = truth.targets if isinstance(truth, Predictions) else members[0].targets
        kept = [_taken(member, shared, targets) for member in members]
        for member, name in zip(kept, names, strict=True):
            refuse_not_finite(member, name)
        return cls(kept, _known(truth, shared, targets), names)

    def part(self) -> np.ndarray:
        """(n,) part numbers from 0, by chance; the same for the same ids, in whichever order the files have them."""
        part = np.empty(len(self.ids), int)
        part[np.argsort(self.ids)] = np.random.default_rng(0).permutation(len(part)) % _PARTS
        return part

    def cross_products(self, group: np.ndarray, statistic: Statistic) -> CrossProducts:
        """Of a regression; group: (t,) the row of weights that each target takes."""
        values = [member.values for member in self.members]
        return CrossProducts.of(values, self.truth, self.part(), group, statistic)

    def votes(self) -> Votes:
        """Of classes."""
        every = slice(None)
        return Votes(
            np.stack([in_float64(member, every) for member in self.members]), self.truth, self.part()
        )


def _faults(members: Sequence[Predictions], truth: Predictions | Labels, names: Sequence[str]) -> list[str]:
    if len(members) < 2:
        return [f"Expected two members or more to combine, found {len(members)}."]
    first, found = members[0], []
    classes = first.kind != "regression"
    if classes != isinstance(truth, Labels):
        what = "class names" if isinstance(truth, Labels) else "numbers"
        found.append(f"{names[0]} is of kind {first.kind!r}, the truth holds {what}.")
    targets = truth.targets if isinstance(truth, Predictions) else first.targets
    for member, name in zip(members, names, strict=True):
        if member.split not in _HONEST:
            found.append(
                f"{name} is of the split {member.split!r}: weights are chosen on validation or out-of-fold "
                "predictions, never on test."
            )
        if (member.kind == "regression") == classes:
            found.append(f"{name} is of kind {member.kind!r}, {names[0]} of {first.kind!r}.")
        found += differences(member.targets, targets, "targets", name)
    return found


def _taken(member: Predictions, ids: np.ndarray, targets: np.ndarray) -> Predictions:
    rows = positions(member.ids, ids)
    return align(replace(member, ids=ids, values=member.values[rows]), ids, targets)


def _known(truth: Predictions | Labels, ids: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n, t) the truth of a regression, or (n,) class numbers."""
    rows = positions(truth.ids, ids)
    if isinstance(truth, Predictions):
        known = replace(truth, ids=ids, values=truth.values[rows])
        if degenerate(known.values).all():
            refuse_not_finite(known, "No target of the truth can be learned from")
            raise SubmissionError(
                f"Every target of the truth is constant over the {len(ids):,} shared samples."
            )
        return known.values
    numbers = pd.Index(targets).get_indexer(pd.Index(truth.labels[rows]))
    unknown = np.unique(truth.labels[rows][numbers < 0])
    if len(unknown):
        raise SubmissionError(
            f"{len(unknown)} classes of the truth are not predicted: {named(unknown, len(unknown))}."
        )
    return numbers
