"""Weights that were learned, ready to combine the members' predictions of other samples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from submit.ensemble.averaging import added
from submit.ensemble.matching import combined_kind, name_of
from submit.ensemble.origins import refuse_other_checkpoint
from submit.errors import SubmissionError
from submit.predictions import Predictions, ValueKind


@dataclass(frozen=True, eq=False)
class Combination:
    """Weights for each member, learned from predictions of samples whose truth is known.

    method: as in `scores`. members: m names. targets: (t,). kind: of the result. weights: (g, m), at least 0, a row
    for each group of targets; group: (t,) the row that a target takes; groups: g names, None for one a target.
    offset: (t,) or 0, in the targets' units, added to the weighted sum. penalty: of stacking. kept: of selection by
    target, how many members each target takes.
    samples: how many it was learned from. constant: how many targets' truth is constant or not finite there; their r
    counts 0, and stacking gives them the mean. metric: the name in `submit.metrics.table` of singles (m,), each
    member alone on these samples, and of scores, by method, each part of them combined by weights learned from the
    others. chosen: of `best`, the score where the method too is chosen for each part by the others. origins: the
    provenance of the predictions learned from.
    """

    method: str
    members: tuple[str, ...]
    targets: np.ndarray
    kind: ValueKind
    weights: np.ndarray
    groups: tuple[str, ...] | None
    group: np.ndarray
    offset: np.ndarray | float
    samples: int
    constant: int
    penalty: float | None
    metric: str
    singles: np.ndarray
    scores: Mapping[str, float]
    chosen: float | None = None
    origins: tuple[Mapping[str, Any], ...] = ()
    kept: int | None = None

    @property
    def score(self) -> float:
        """The method's own of `scores`; where it was chosen among several, `chosen`, which that does not flatter."""
        return self.scores[self.method] if self.chosen is None else self.chosen

    def by_target(self) -> np.ndarray:
        """(t, m) weights."""
        return self.weights[self.group]

    def apply(self, members: Iterable[Predictions], names: Sequence[str] | None = None) -> Predictions:
        """Combines predictions of other samples by the same members in the same order: one is in memory at a time.

        names: of these predictions, for messages.
        Raises SubmissionError where their number, kinds or targets are not those learned from, ids differ, or a run's
        are by another checkpoint than those learned from.
        """
        known = self._by_known_checkpoints(members, names)
        first, total, parts = added(known, list(self.by_target().T), self.targets, names)
        if combined_kind(first.kind) != self.kind:
            raise SubmissionError(
                f"the predictions are of kind {first.kind!r}; the weights were learned from {self.kind!r}."
            )
        total += self.offset
        provenance = {
            **self.record(),
            "ensemble": parts,
            "scores": {"out_of_fold": {self.metric: self.score}},
        }
        return Predictions(first.ids, total, self.targets, self.kind, first.split, provenance)

    def _by_known_checkpoints(
        self, members: Iterable[Predictions], names: Sequence[str] | None
    ) -> Iterator[Predictions]:
        for number, member in enumerate(members):
            if number < len(self.origins):
                refuse_other_checkpoint(self.origins[number], member.provenance, name_of(names, number))
            yield member

    def record(self) -> dict[str, Any]:
        """How the weights came to be, ready for JSON; of weights for each target, only their spread."""
        found: dict[str, Any] = {
            "method": self.method,
            "samples": self.samples,
            "constant_targets": self.constant,
            "compared": {
                "metric": self.metric,
                "members": list(self.members),
                "alone": self.singles.tolist(),
                "methods": dict(self.scores),
            },
        }
        if self.chosen is not None:
            found["compared"]["chosen"] = self.chosen
        if self.penalty is not None:
            found["penalty"] = self.penalty
        if self.kept is not None:
            found["kept"] = self.kept
        if self.groups is None:
            low, middle, high = np.quantile(self.weights, (0, 0.5, 1), axis=0).tolist()
            return {**found, "weights": {"lowest": low, "median": middle, "highest": high}}
        return {**found, "weights": dict(zip(self.groups, self.weights.tolist(), strict=True))}
