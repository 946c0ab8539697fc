"""Scores of all subjects' targets, of predictions that are made one subject after the other."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.subjects import SEPARATOR
from jaxlab.objectives import Labelled
from submit.scores.by_target import ByTarget, Histogram
from submit.scores.rosetta import OVERALL

if TYPE_CHECKING:
    from jaxlab.runs.run import Run, Which


def breakdowns(run: "Run", which: "Which | None", untrained: bool) -> "Iterator[tuple[Labelled, ByTarget]]":
    """As `Run.breakdowns`: of each split, scores of all subjects' targets, each over its own samples.

    What is `labelled` has no values: they would be of every sample and target. Subjects are regions.
    """
    each = [list(_without_values(run.subject(name), which, untrained)) for name in run.subjects]
    for parts in zip(*each, strict=True):
        rows = np.concatenate([labelled.rows for labelled, _ in parts])
        yield parts[0][0]._replace(rows=rows), joined([found for _, found in parts], run.subjects)


def _without_values(
    run: "Run", which: "Which | None", untrained: bool
) -> "Iterator[tuple[Labelled, ByTarget]]":
    for labelled, found in run.breakdowns(which, untrained):
        assert isinstance(found, ByTarget)
        yield labelled._replace(values=np.empty((0, 0))), found


def joined(parts: Sequence[ByTarget], subjects: Sequence[str]) -> ByTarget:
    """Of several subjects' scores by target those of all, with a region for each subject, and for each of theirs."""
    ceilings = [part.ceiling for part in parts]
    known = [np.zeros(len(part.targets)) if part.ceiling is None else part.ceiling for part in parts]
    named = [
        [f"{subject}{SEPARATOR}{target}" for target in part.targets]
        for subject, part in zip(subjects, parts, strict=True)
    ]
    return ByTarget(
        samples=sum(part.samples for part in parts),
        targets=np.concatenate(named),
        each={name: np.concatenate([part.each[name] for part in parts]) for name in parts[0].each},
        ceiling=None if all(one is None for one in ceilings) else np.concatenate(known),
        regions=_regions(parts, subjects),
        histogram=_histogram(parts),
    )


def _regions(parts: Sequence[ByTarget], subjects: Sequence[str]) -> dict[str, np.ndarray]:
    def across(masks: Sequence[np.ndarray | None]) -> np.ndarray:
        whole = [
            np.zeros(len(part.targets), bool) if mask is None else mask
            for part, mask in zip(parts, masks, strict=True)
        ]
        return np.concatenate(whole)

    found = {OVERALL: across([part.regions[OVERALL] for part in parts])}
    for number, subject in enumerate(subjects):
        own = [part.regions[OVERALL] if k == number else None for k, part in enumerate(parts)]
        found[subject] = across(own)
    inner = dict.fromkeys(name for part in parts for name in part.regions if name != OVERALL)
    for name in inner:
        mask = across([part.regions.get(name) for part in parts])
        found[f"region {name}" if name in subjects else name] = mask
    return found


def _histogram(parts: Sequence[ByTarget]) -> Histogram:
    """Weighted by how many values each counted: those of the targets that vary."""
    varying = [int(np.isfinite(part.each["explained_variance"]).sum()) for part in parts]
    weights = np.array([part.samples * count for part, count in zip(parts, varying, strict=True)], float)
    share = weights / max(weights.sum(), 1)
    sides = (
        np.tensordot(share, np.array([getattr(part.histogram, side) for part in parts]), 1)
        for side in ("predicted", "truth")
    )
    return Histogram(parts[0].histogram.edges, *sides)
