"""Scores beside their noise ceiling, as the challenges define them, made from the scores of each target.

Scores are (..., t), so that those of many resamples are normalised at once; a NaN stays one. Ceilings are (t,) in
the order of the targets.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

from submit.errors import SubmissionError, named
from submit.regions import checked_masks


def noise_normalised(r: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """r / sqrt(ceiling) over the targets with ceiling > 0.

    r: (..., t) correlations. ceiling: (t,) share of the variance that is signal, 0 to 1, in the same order.
    Raises SubmissionError for another length, and for NaN or values outside 0 to 1, with their positions.
    """
    r = np.asarray(r, np.float64)
    ceiling = shares(ceiling, r.shape[-1])
    return r[..., ceiling > 0] / np.sqrt(ceiling[ceiling > 0])


def nx414_correlation(r: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """NX-414 2026: r / sqrt(NC / 100) over the neurons whose ceiling NC, in percent, is above 0."""
    return noise_normalised(r, _of_percent(ceiling, np.shape(r)[-1]))


def nx414_variance(explained: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """NX-414 2026: EV / (NC / 100) over the neurons whose ceiling NC, in percent, is above 0.

    explained: (..., t) explained variance. NC = 100 snr / (snr + 1 / n_reps), `submit.ceilings.variance_ceiling`.
    """
    explained = np.asarray(explained, np.float64)
    ceiling = _of_percent(ceiling, explained.shape[-1])
    return explained[..., ceiling > 0] / ceiling[ceiling > 0]


def algonauts2021(r: np.ndarray, reliability: np.ndarray, rois: Mapping[str, np.ndarray]) -> float:
    """Algonauts 2021: r / sqrt(reliability), averaged over the voxels of each region, then over regions.

    reliability: (t,) `submit.ceilings.split_half_reliability`; voxels without any (0 or less) are left out, and so
    are regions without such a voxel. rois: name -> (t,) bool.
    Raises SubmissionError for other lengths and masks, and for a reliability that is NaN or above 1.
    """
    r = np.asarray(r, np.float64)
    reliability = shares(np.clip(reliability, 0, None), r.shape[-1])
    means = [
        normalised.mean()
        for mask in checked_masks(rois, len(reliability)).values()
        if len(normalised := noise_normalised(r[mask], reliability[mask]))
    ]
    return float(np.mean(means)) if means else float("nan")


def algonauts2023(r: np.ndarray, ceiling: np.ndarray | None = None) -> np.ndarray:
    """Algonauts 2023's score of each vertex, (..., t) in percent: min(100 max(r, 0)^2 / NC, 100), NC = 0 as 1e-14.

    ceiling: NC, share of the variance, 0 to 1 (`submit.ceilings.nsd_ceiling`). Without it 100 max(r, 0)^2, which is
    not what the challenge reports: call it uncorrected.
    """
    squared = np.maximum(np.asarray(r, np.float64), 0) ** 2
    if ceiling is None:
        return 100 * squared
    ceiling = shares(ceiling, squared.shape[-1])
    return np.minimum(100 * squared / np.where(ceiling == 0, 1e-14, ceiling), 100)


def algonauts2023_challenge(
    vertices: Iterable[np.ndarray], aggregate: Literal["median", "mean"] = "median"
) -> float:
    """The challenge's score: the median over all vertices of all subjects and hemispheres, whose scores are given.

    Published accounts differ: the median is the documented one, some scorers report the mean.
    """
    every = np.concatenate([np.empty(0), *(np.asarray(part, np.float64) for part in vertices)])
    if aggregate not in ("median", "mean"):
        raise SubmissionError(f"aggregate: expected 'median' or 'mean'; found {aggregate!r}.")
    if not len(every):
        raise SubmissionError("expected the scores of one vertex or more; found none.")
    return float(np.median(every) if aggregate == "median" else every.mean())


def shares(ceiling: np.ndarray, targets: int) -> np.ndarray:
    """(t,) float64 noise ceilings. Raises SubmissionError as `noise_normalised` does."""
    return _up_to(1, ceiling, targets, "shares of the variance between 0 and 1 (not percent)")


def _of_percent(ceiling: np.ndarray, targets: int) -> np.ndarray:
    return _up_to(100, ceiling, targets, "percent of the variance between 0 and 100") / 100


def _up_to(most: int, ceiling: np.ndarray, targets: int, expected: str) -> np.ndarray:
    ceiling = np.asarray(ceiling)
    if ceiling.shape != (targets,) or ceiling.dtype.kind not in "fiu":
        raise SubmissionError(
            f"ceiling: expected {targets:,} numbers, one a target in the solution's column order; "
            f"found {ceiling.dtype} of shape {ceiling.shape}."
        )
    ceiling = ceiling.astype(np.float64)
    bad = np.flatnonzero(~((ceiling >= 0) & (ceiling <= most)))
    if len(bad):
        raise SubmissionError(
            f"ceiling: expected {expected}; found "
            f"{', '.join(f'{ceiling[i]:g}' for i in bad[:5])} at position {named(bad, len(bad))}."
        )
    return ceiling
