"""Learning how to combine: greedy selection, selection by target, stacking, or whichever of several ways is best.

All four learn from predictions of labelled samples by networks that had not seen them (the validation split, or
out-of-fold predictions), never of test samples, and from those samples that all members predict. What a way is worth
is measured by cross-validation over five parts of them: everything about it, a penalty too, is chosen without the
part that is scored. Samples are dealt to the parts one by one, also where several are of one image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from submit.ensemble.combination import Combination
from submit.ensemble.cross_products import CrossProducts, Statistic
from submit.ensemble.evidence import Weights, best_single, greedy_selection, singles, uniform, weights_by_part
from submit.ensemble.selection import selection
from submit.ensemble.sharing import SharedSamples
from submit.ensemble.stacking import stacking
from submit.errors import SubmissionError, about
from submit.labels import Labels
from submit.metrics.regression import degenerate
from submit.metrics.table import score_of
from submit.predictions import Predictions
from submit.regions import checked_masks

By = Literal["all", "roi", "target"]
Regions = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _Way:
    """A way to learn weights, what from, and which targets share them: as `Combination.group` and `groups`."""

    learner: Callable[[Any], Weights]
    evidence: Any
    group: np.ndarray
    groups: tuple[str, ...] | None = ("all",)


def greedy(
    members: Sequence[Predictions],
    truth: Predictions | Labels,
    *,
    statistic: Statistic = "mean",
    names: Sequence[str] | None = None,
) -> Combination:
    """Weights for all targets by greedy selection with replacement (`submit.ensemble.evidence.greedy_selection`).

    It maximises the mean (or median) Pearson r over targets, or for classes the accuracy. The weights sum to 1.
    truth: with the members' targets, in any order; for classes, `Labels`. names: of the members, for messages.
    Raises SubmissionError where members and truth do not fit (`submit.ensemble.sharing.SharedSamples.of`).
    """
    shared = SharedSamples.of(members, truth, names)
    return _learned(shared, _simple(shared, statistic), "greedy")


def stack(
    members: Sequence[Predictions],
    truth: Predictions,
    *,
    by: By = "target",
    regions: Regions | None = None,
    statistic: Statistic = "mean",
    names: Sequence[str] | None = None,
) -> Combination:
    """Non-negative weights by ridge regression towards the mean (`submit.ensemble.stacking.stacking`).

    by: one set of weights for "all" targets, for each region ("roi"), or for each "target". regions: (t,) bool by
    name, in the order of the truth's targets; a target takes the first that it is in, and those in none are one
    more. The weights need not sum to 1, so an offset gives each target its mean over the samples learned from. Pearson
    r sees neither; squared error and explained variance want members in the truth's units, as their plain mean does.
    Otherwise as `greedy`; for regressions only.
    """
    shared = SharedSamples.of(members, truth, names)
    ways = _simple(shared, statistic)
    way = {f"stack ({by})": _stacking(shared, ways["mean"].evidence, by, regions)}
    return _learned(shared, {**ways, **way}, f"stack ({by})")


def select(
    members: Sequence[Predictions],
    truth: Predictions,
    *,
    keep: int | None = None,
    statistic: Statistic = "mean",
    names: Sequence[str] | None = None,
) -> Combination:
    """For each target the mean of the members that predict it best (`submit.ensemble.selection.selection`).

    keep: how many of them, 1 to m; default the number that cross-validation prefers. Otherwise as `greedy`; for
    regressions only. Raises SubmissionError for another number, too.
    """
    shared = SharedSamples.of(members, truth, names)
    if keep is not None and keep not in range(1, len(members) + 1):
        raise SubmissionError(f"keep: expected a number of members from 1 to {len(members)}, found {keep}.")
    ways = _simple(shared, statistic)
    return _learned(shared, {**ways, "select": _selection(shared, ways["mean"].evidence, keep)}, "select")


def best(
    members: Sequence[Predictions],
    truth: Predictions | Labels,
    *,
    regions: Regions | None = None,
    statistic: Statistic = "mean",
    names: Sequence[str] | None = None,
) -> Combination:
    """The best of: the best single member, the mean, `greedy`, `select`, and `stack` (all, by region, by target).

    Those by region where `regions` are given. They are compared by cross-validation, as `Combination.scores` holds; of
    equal ones the first is taken. The best of several such scores flatters; `Combination.score` is that of the choice,
    made anew for each part by the others.
    """
    shared = SharedSamples.of(members, truth, names)
    ways = _simple(shared, statistic)
    if shared.kind == "regression":
        ways["select"] = _selection(shared, ways["mean"].evidence, None)
        every: list[By] = ["all", "roi", "target"] if regions else ["all", "target"]
        ways |= {f"stack ({by})": _stacking(shared, ways["mean"].evidence, by, regions) for by in every}
    return _learned(shared, ways, None)


def _simple(shared: SharedSamples, statistic: Statistic) -> dict[str, _Way]:
    """The ways that give all targets the same weights."""
    group = np.zeros(len(shared.targets), int)
    evidence: Any = shared.cross_products(group, statistic) if shared.kind == "regression" else shared.votes()
    learners = {"single": best_single, "mean": uniform, "greedy": greedy_selection}
    return {name: _Way(learner, evidence, group) for name, learner in learners.items()}


def _selection(shared: SharedSamples, evidence: Any, keep: int | None) -> _Way:
    products = _of_numbers(evidence, "Selection by target")
    group = np.arange(len(shared.targets))
    return _Way(partial(selection, keep=keep), replace(products, group=group), group, None)


def _stacking(shared: SharedSamples, evidence: Any, by: By, regions: Regions | None) -> _Way:
    products = _of_numbers(evidence, "Stacking")
    groups, group = _grouped(by, len(shared.targets), regions)
    return _Way(stacking, replace(products, group=group), group, groups)


def _of_numbers(evidence: Any, way: str) -> CrossProducts:
    if not isinstance(evidence, CrossProducts):
        raise SubmissionError(f"{way} is for regressions; of classes, choose greedy selection or a mean.")
    return evidence


def _grouped(by: By, count: int, regions: Regions | None) -> tuple[tuple[str, ...] | None, np.ndarray]:
    """Names of groups, and (t,) the number of each target's."""
    if by == "target":
        return None, np.arange(count)
    if by == "all":
        return ("all",), np.zeros(count, int)
    if not regions:
        raise SubmissionError("Stacking by region needs regions of targets.")
    with about("regions"):
        masks = checked_masks(regions, count)
    names = [*masks, "no region"]
    first = np.argmax([*masks.values(), np.ones(count, bool)], axis=0)
    there, group = np.unique(first, return_inverse=True)
    return tuple(names[i] for i in there), group


def _learned(shared: SharedSamples, ways: Mapping[str, _Way], chosen: str | None) -> Combination:
    """All ways scored; the weights of the chosen one, or of the best."""
    _refuse_undefined(shared, ways)
    scores = {
        name: way.evidence.score(weights_by_part(way.evidence, way.learner)) for name, way in ways.items()
    }
    metric = next(iter(ways.values())).evidence.metric
    method = chosen or _best(scores, metric)
    way = ways[method]
    weights = way.learner(way.evidence)
    return Combination(
        method=method,
        members=shared.names,
        targets=shared.targets,
        kind=shared.kind,
        weights=weights.rows,
        groups=way.groups,
        group=way.group,
        offset=way.evidence.offset(weights.rows) if way.learner is stacking else 0.0,
        penalty=weights.penalty,
        kept=weights.kept,
        samples=len(shared.ids),
        constant=int(degenerate(shared.truth).sum()) if shared.kind == "regression" else 0,
        metric=metric,
        singles=np.nan_to_num(singles(way.evidence)),
        scores=scores,
        chosen=None if chosen else _score_of_choice(ways, metric),
        origins=tuple(member.provenance for member in shared.members),
    )


def _best(scores: Mapping[str, float], metric: str) -> str:
    """The first of the ways with the best score; an undefined one is never it."""
    return max(scores, key=lambda name: score_of(metric).worth(scores[name]))


def _score_of_choice(ways: Mapping[str, _Way], metric: str) -> float:
    """The score of predictions that are combined, in each part, by the way that scores best within the other parts.

    Cross-validation within cross-validation: weights that had seen the part would choose by it.
    """
    evidence = next(iter(ways.values())).evidence
    if isinstance(evidence, CrossProducts):
        evidence = replace(evidence, group=np.arange(len(evidence.group)))
    found = []
    for part in range(evidence.parts):
        others = {name: way.evidence.without(part) for name, way in ways.items()}
        scores = {name: one.score(weights_by_part(one, ways[name].learner)) for name, one in others.items()}
        method = _best(scores, metric)
        rows = ways[method].learner(others[method]).rows
        found.append(rows[ways[method].group] if isinstance(evidence, CrossProducts) else rows)
    return float(evidence.score(found))


def _refuse_undefined(shared: SharedSamples, ways: Mapping[str, _Way]) -> None:
    """Raises SubmissionError where no member has a defined score, by which nothing can be chosen."""
    if np.isnan(singles(next(iter(ways.values())).evidence)).all():
        raise SubmissionError(
            f"no member has a defined score over the {len(shared.ids):,} shared samples: all predict constants for the "
            "targets that vary, so nothing tells which is better."
        )
