"""Predictions that are the same for all images: whoever writes them warns first."""

import numpy as np
from rich.console import Console

from jaxlab.data.source import examples
from submit import Predictions

_ROUNDING = 8  # units in the last place: what batches and devices leave between equal rows


def warn_of_constants(predictions: Predictions) -> None:
    """A line on stderr, where `constants` finds any."""
    if line := constants(predictions):
        Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)


def constants(predictions: Predictions) -> str | None:
    """A warning naming the targets of which all images have the same prediction; None of a single image.

    Of classes, where all images have the same values: one class for all may be right.
    """
    values, names = predictions.values, predictions.targets
    if len(values) < 2:
        return None
    low, high = values.min(0), values.max(0)
    rounding = _ROUNDING * np.finfo(values.dtype).eps * np.maximum(np.abs(low), np.abs(high))
    same = high - low <= rounding  # not of NaN, which others report
    if not (same.any() if predictions.kind == "regression" else same.all()):
        return None
    what = "targets" if predictions.kind == "regression" else "classes"
    return (
        f"warning: the {predictions.split} predictions are the same for all {len(values):,} images in {same.sum():,} "
        f"of {len(names):,} {what} ({examples(names[same])}): a network that has not learned, or features that do not "
        "vary; such have no correlation with anything"
    )
