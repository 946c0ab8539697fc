"""One prediction of numbers, target by target and region by region: correlation, spread and distribution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from submit import metrics
from submit.blocks import blocks
from submit.errors import SubmissionError
from submit.files.json_text import plain
from submit.metrics.known import where_known
from submit.regions import checked_masks
from submit.scores.pairing import PairedNumbers
from submit.scores.rosetta import OVERALL

FARTHEST = 5.0  # standard deviations of the truth, beyond which a histogram has but one bin
_BINS = 100


@dataclass(frozen=True, eq=False)
class Histogram:
    """How values lie about the truth's mean, in its standard deviations, of all targets together: (b,) densities.

    edges: (b + 1,), of which the outermost bins take what lies beyond. Targets whose truth is constant are left out.
    """

    edges: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True, eq=False)
class ByTarget:
    """each: name -> (t,), NaN where undefined: pearson, explained_variance, mse, spread_ratio, ks_distance.

    ceiling: (t,) share of each target's variance that is signal, or None. regions: region -> (t,) bool, all first.
    """

    samples: int
    targets: np.ndarray
    each: Mapping[str, np.ndarray]
    ceiling: np.ndarray | None
    regions: Mapping[str, np.ndarray]
    histogram: Histogram

    def summary(self, region: str = OVERALL) -> dict[str, float]:
        """Means and medians over a region's targets.

        As the challenges have it, a correlation or explained variance that is undefined counts as 0 beside others, and
        alone is NaN; a spread ratio or distance that is undefined counts for nothing. Noise-normalised ones are divided
        by sqrt(ceiling), over the targets with a ceiling above 0.
        """
        mask = self.regions[region]
        of = {name: values[mask] for name, values in self.each.items()}
        found = {
            "pearson": _mean(of["pearson"]),
            "pearson_median": _median(of["pearson"]),
            "explained_variance": _mean(of["explained_variance"]),
        }
        if self.ceiling is not None and (self.ceiling[mask] > 0).any():
            ceiling = self.ceiling[mask]
            found["noise_normalised"] = _mean(metrics.noise_normalised(of["pearson"], ceiling))
            spread = metrics.noise_normalised(of["spread_ratio"], ceiling)
            found["noise_normalised_spread_median"] = _known(spread, np.median)
        for name in ("spread_ratio", "ks_distance"):
            found[name] = _known(of[name], np.mean)
            found[f"{name}_median"] = _known(of[name], np.median)
        return found

    def rows(self) -> dict[str, dict[str, float]]:
        """Region -> how many targets it has, and its `summary`."""
        return {
            name: {"targets": int(mask.sum()), **self.summary(name)} for name, mask in self.regions.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; what is undefined is None."""
        overall = self.summary()
        found: dict[str, Any] = {
            f"{name}_{part}": overall[name if part == "mean" else f"{name}_{part}"]
            for name in ("spread_ratio", "ks_distance")
            for part in ("mean", "median")
        }
        if "noise_normalised_spread_median" in overall:
            found["noise_normalised_spread_median"] = overall["noise_normalised_spread_median"]
        if len(self.regions) > 1:
            found["regions"] = self.rows()
        names = self.targets.tolist()
        for name in ("spread_ratio", "ks_distance"):
            found[f"{name}_per_target"] = dict(zip(names, self.each[name].tolist(), strict=True))
        return plain(found)


def by_target(
    pair: PairedNumbers,
    ceiling: np.ndarray | None = None,
    regions: Mapping[str, np.ndarray] | None = None,
    missing: bool = False,
) -> ByTarget:
    """Of predictions beside their solution. ceiling: (t,), 0 to 1. regions: name -> (t,) bool.

    missing: a truth that is NaN is not known, so that its sample has no part in its target's scores, nor a target
    that is known of less than two samples in its region's. Otherwise such a target has no score.
    Raises SubmissionError for ceilings and masks that do not fit, and for a region of the name "overall".
    """
    masks = checked_masks(regions or {}, len(pair.targets))
    if OVERALL in masks:
        raise SubmissionError(
            f"regions: {OVERALL!r} is the name of all targets; call that region something else."
        )
    if ceiling is not None:
        ceiling = metrics.shares(ceiling, len(pair.targets))
    ours, truth = pair.predicted, pair.truth
    each = where_known(ours, truth, distances=True) if missing else _each(ours, truth)
    seen = (~np.isnan(truth)).sum(0) > 1 if missing else np.ones(len(pair.targets), bool)
    every = {OVERALL: seen, **{name: mask & seen for name, mask in masks.items()}}
    return ByTarget(len(pair.ids), pair.targets, each, ceiling, every, histogram(ours, truth))


def _each(ours: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "pearson": metrics.pearson(ours, truth, "nan"),
        "explained_variance": metrics.explained_variance(ours, truth, "nan"),
        "mse": metrics.mse(ours, truth),
        "spread_ratio": metrics.spread_ratio(ours, truth),
        "ks_distance": metrics.ks_distance(ours, truth),
    }


def histogram(predicted: np.ndarray, truth: np.ndarray) -> Histogram:
    """Of (n, t) both. What is not finite lies in no bin."""
    edges = np.linspace(-FARTHEST, FARTHEST, _BINS + 1)
    counted = np.zeros((2, _BINS))
    for _, (x, y) in blocks(predicted, truth) if len(truth) else ():
        with np.errstate(all="ignore"):
            x = np.where(np.isnan(y), np.nan, x)
            known = np.maximum((~np.isnan(y)).sum(0), 1)
            mean = np.nansum(y, axis=0) / known
            scale = np.sqrt(np.nansum((y - mean) ** 2, axis=0) / known)
            low, high = np.fmin.reduce(y), np.fmax.reduce(y)
            kept = np.isfinite(scale) & (low < high) & (scale > 0)
            for row, side in zip(counted, (x, y), strict=True):
                values = ((side - mean) / scale)[:, kept]
                values = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
                row += np.histogram(values, edges)[0]
    total = np.maximum(counted.sum(1, keepdims=True), 1) * np.diff(edges)
    return Histogram(edges, *(counted / total))


def _mean(each: np.ndarray) -> float:
    return float(np.nan_to_num(each).mean()) if (~np.isnan(each)).any() else float("nan")


def _median(each: np.ndarray) -> float:
    """NaN where more than half are undefined, which makes their 0 the median whatever the others are, and of none."""
    if not len(each) or 2 * np.isnan(each).sum() > len(each):
        return float("nan")
    return float(np.median(np.nan_to_num(each)))


def _known(each: np.ndarray, aggregate: Any) -> float:
    known = each[~np.isnan(each)]
    return float(aggregate(known)) if len(known) else float("nan")
