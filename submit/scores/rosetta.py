"""One prediction under every definition of a score that its files allow, by region and overall."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from submit import metrics
from submit.blocks import by_block
from submit.errors import SubmissionError
from submit.files.json_text import plain
from submit.metrics import ceilings
from submit.metrics.summed import Summed
from submit.regions import checked_masks
from submit.scores import bootstrap
from submit.scores.definitions import OF_AVERAGES, OF_PRESENTATIONS, OVER_REGIONS, ChallengeScore, definitions
from submit.scores.interval import Drawn, Interval, LeftOut
from submit.scores.jackknife import parts, without_each
from submit.scores.pairing import PairedNumbers

OVERALL = "overall"
LOW_CEILING = 0.1  # so small a share of the variance is hardly known, and what is divided by it even less


@dataclass(frozen=True)
class RegionScore:
    """One definition in one region: the mean and the median over `targets` targets, NaN where there is none."""

    region: str
    definition: str
    targets: int
    mean: Interval
    median: Interval


@dataclass(frozen=True)
class Rosetta:
    """rows: overall first, then by region. left_out: definition -> what it needs.

    constant, not_finite: how many targets are, on either side. policies: zero, nan, drop -> the mean Pearson r that
    each makes of them. low_ceilings: of how many targets a ceiling, or a reliability, is above 0 and below 0.1, so that
    what is divided by it is noise.
    """

    samples: int
    targets: int
    rows: tuple[RegionScore, ...]
    left_out: Mapping[str, str]
    constant: int
    not_finite: int
    policies: Mapping[str, float]
    low_ceilings: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; NaN is None."""
        return plain(asdict(self))


def rosetta(
    pair: PairedNumbers,
    ceiling: np.ndarray | None = None,
    regions: Mapping[str, np.ndarray] | None = None,
    repeats: np.ndarray | None = None,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
) -> Rosetta:
    """Every definition of `submit.metrics`: mean and median over targets, with 95 % intervals over samples.

    ceiling: (t,) share of the truth's variance that is signal; of the repeats, where they alone are given.
    regions: name -> (t,) bool. repeats: (n, r, t), samples and targets in the pair's order. Undefined scores count 0.
    Intervals are those of `submit.bootstrap`; ceilings, and which targets are counted, stay as they are.
    Raises SubmissionError for ceilings, masks and repeats that do not fit, and for a region of the name "overall".
    """
    regions = checked_masks(regions or {}, len(pair.targets))
    if OVERALL in regions:
        raise SubmissionError(
            f"regions: {OVERALL!r} is the name of all targets; call that region something else."
        )
    if repeats is not None and (repeats.ndim != 3 or repeats.shape[::2] != pair.truth.shape):
        raise SubmissionError(
            f"repeats: expected ({len(pair.ids):,}, repeats, {len(pair.targets):,}); found shape {repeats.shape}."
        )
    if repeats is not None and ceiling is None:
        ceiling = ceilings.signal_share(repeats)
    if ceiling is not None:
        ceiling = metrics.shares(ceiling, len(pair.targets))
    defined, left_out = definitions(len(pair.targets), ceiling, repeats)
    areas = {OVERALL: np.ones(len(pair.targets), bool), **regions}
    whole = _aggregated(defined, areas, _scores(pair, repeats))
    full, half = (
        _medians(defined, areas, _draws(pair, repeats, how)) for how in bootstrap.strengths(draws, seed)
    )
    left, sizes = _means_without(defined, areas, pair, repeats), parts(len(pair.ids))[1]
    rows = []
    for area, name in ((area, name) for area in areas for name in defined):
        (of_mean, of_median), counted = whole[area, name][0], int((defined[name].counted & areas[area]).sum())
        mean = LeftOut(of_mean, left[area, name], sizes, defined[name].scale).interval()
        drawn = Drawn(of_median, full[area, name], half[area, name], len(pair.ids), defined[name].scale)
        median = mean if counted <= 2 and of_median == of_mean else drawn.interval()
        rows.append(RegionScore(area, name, counted, mean, median))
    low = np.zeros(len(pair.targets), bool)
    for one in defined.values():
        if one.ceiling is not None:
            share = one.ceiling / (100 if one.ceiling.max(initial=0) > 1 else 1)
            low |= one.counted & (share > 0) & (share < LOW_CEILING)
    low_ceilings = int(low.sum())
    return Rosetta(
        len(pair.ids), len(pair.targets), tuple(rows), left_out, **_undefined(pair), low_ceilings=low_ceilings
    )


def _scored(pair: PairedNumbers, repeats: np.ndarray | None) -> list[tuple[Mapping[str, Summed], np.ndarray]]:
    """Scores of predictions, and what these are compared with."""
    return [(OF_AVERAGES, pair.truth), *([] if repeats is None else [(OF_PRESENTATIONS, repeats)])]


def _scores(pair: PairedNumbers, repeats: np.ndarray | None) -> dict[str, np.ndarray]:
    """Name -> (1, t) of all samples."""
    found = {}
    for scores, truth in _scored(pair, repeats):
        for name, score in scores.items():
            values = by_block(score, pair.predicted, truth)
            found[name] = np.nan_to_num(values, posinf=0, neginf=0)[None]
    return found


def _draws(
    pair: PairedNumbers, repeats: np.ndarray | None, how: Mapping[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    """Name -> (d, t) of some draws after another: first the scores of averages, then those of presentations."""
    for scores, truth in _scored(pair, repeats):
        yield from bootstrap.per_target(scores, pair.predicted, truth, **how)


def _medians(
    defined: Mapping[str, ChallengeScore],
    areas: Mapping[str, np.ndarray],
    drawn: Iterator[dict[str, np.ndarray]],
) -> dict[tuple[str, str], np.ndarray]:
    """(area, definition) -> (d,) the median over targets of each draw."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for scores in drawn:
        for cell, values in _aggregated(defined, areas, scores).items():
            found.setdefault(cell, []).append(values[:, 1])
    return {cell: np.concatenate(parts) for cell, parts in found.items()}


def _aggregated(
    defined: Mapping[str, ChallengeScore], areas: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray]
) -> dict[tuple[str, str], np.ndarray]:
    """(area, definition) -> (d, 2) mean and median over targets, of the definitions whose (d, t) scores are here."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for name, definition in defined.items():
        if definition.score not in scores:
            continue
        of = {
            area: _mean_and_median(definition.values(scores[definition.score], mask))
            for area, mask in areas.items()
        }
        if name == OVER_REGIONS and len(areas) > 1:
            of[OVERALL] = _over_regions([values for area, values in of.items() if area != OVERALL])
        found |= {(area, name): values for area, values in of.items()}
    return found


def _means_without(
    defined: Mapping[str, ChallengeScore],
    areas: Mapping[str, np.ndarray],
    pair: PairedNumbers,
    repeats: np.ndarray | None,
) -> dict[tuple[str, str], np.ndarray]:
    """(area, definition) -> (g,) the means over targets without each part of the samples; NaN without a target."""
    total = {(area, name): np.zeros(len(parts(len(pair.ids))[1])) for area in areas for name in defined}
    for scores, truth in _scored(pair, repeats):
        mine = {name: one for name, one in defined.items() if one.score in scores}
        for which, some in without_each(scores, pair.predicted, truth):
            for name, definition in mine.items():
                for area, mask in areas.items():
                    total[area, name] += definition.values(some[definition.score], mask, which).sum(-1)
    with np.errstate(invalid="ignore"):
        means = {
            (area, name): sums / (defined[name].counted & areas[area]).sum()
            for (area, name), sums in total.items()
        }
    if OVER_REGIONS in defined and len(areas) > 1:
        of_regions = [means[area, OVER_REGIONS] for area in areas if area != OVERALL]
        known = [values for values in of_regions if not np.isnan(values).all()]
        means[OVERALL, OVER_REGIONS] = (
            np.mean(known, axis=0) if known else np.full_like(of_regions[0], np.nan)
        )
    return means


def _mean_and_median(values: np.ndarray) -> np.ndarray:
    if not values.shape[1]:
        return np.full((len(values), 2), np.nan)
    return np.stack([values.mean(1), np.median(values, axis=1)], axis=1)


def _over_regions(regions: list[np.ndarray]) -> np.ndarray:
    """The mean over the regions with a target of their means; of medians none is defined."""
    means = [values[:, 0] for values in regions if not np.isnan(values).all()]
    overall = np.mean(means, axis=0) if means else np.full(len(regions[0]), np.nan)
    return np.stack([overall, np.full_like(overall, np.nan)], axis=1)


def _undefined(pair: PairedNumbers) -> dict[str, Any]:
    r = metrics.pearson(pair.predicted, pair.truth, constant="nan")
    finite = np.isfinite(pair.predicted).all(0) & np.isfinite(pair.truth).all(0)
    policies = {
        "zero": float(np.nan_to_num(r).mean()),
        "nan": float(r.mean()),
        "drop": float(r[~np.isnan(r)].mean()) if (~np.isnan(r)).any() else float("nan"),
    }
    return {
        "constant": int((np.isnan(r) & finite).sum()),
        "not_finite": int((~finite).sum()),
        "policies": policies,
    }
