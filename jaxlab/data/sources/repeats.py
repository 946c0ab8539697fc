"""Responses to repeated presentations: their average, and the noise ceiling that they give."""

from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.precision import narrowed
from jaxlab.core.types import UserError
from jaxlab.data.source import LEAVE_OUT, examples, not_numbers
from submit.late import Late

if TYPE_CHECKING:
    from submit import ceilings
else:
    ceilings = Late("submit.metrics.ceilings")

_ROWS = 1024  # images averaged at a time


def averaged(repeats: np.ndarray, missing: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """(n, t) averages of (n, r, t) repeats, NaN where one is missing, and their ceiling (t,).

    They are float32, or (`narrowed`) float64.
    The ceiling is the share of the averages' variance that is signal (submit.ceilings.signal_share); None where no
    image has two repeats. Raises UserError naming the images and targets without a finite repeat. missing: whether the
    average of no repeat is a target that is not known, NaN.
    """
    n, _, t = repeats.shape
    means, most = np.empty((n, t), np.float32 if repeats.dtype == np.float32 else np.float64), 0
    for start in range(0, n, _ROWS):
        some = np.asarray(repeats[start : start + _ROWS], np.float64)
        counts = (~np.isnan(some)).sum(1)
        with np.errstate(invalid="ignore"):
            means[start : start + _ROWS] = np.nansum(some, axis=1) / counts
        most = max(most, counts.max(initial=0))
    bad = np.argwhere(not_numbers(means, missing))
    if len(bad):
        cells = examples(f"image {row}, column {column}" for row, column in bad.tolist())
        raise UserError(f"{len(bad)} responses have no finite repeat ({cells}); {LEAVE_OUT}")
    return narrowed(means), ceilings.signal_share(repeats) if most > 1 else None


def by_image(responses: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(images, r, t) repeats, NaN where one is missing, of (n, t) responses to the images numbered (n,)."""
    _, of, counts = np.unique(image, return_inverse=True, return_counts=True)
    order = np.argsort(of, kind="stable")
    place = np.empty(len(of), np.intp)
    place[order] = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    repeats = np.full((len(counts), counts.max(), responses.shape[1]), np.nan, responses.dtype)
    repeats[of, place] = responses
    return repeats
