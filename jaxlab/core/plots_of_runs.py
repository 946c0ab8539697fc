"""Scores of several runs as PNG: a dot each, their mean and its interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxlab.core import plots
from jaxlab.core.intervals import interval


def score_intervals(
    values: Mapping[str, Sequence[float]],
    path: Path,
    title: str,
    *,
    xlabel: str = "score",
    zero: bool = False,
) -> None:
    """A line for each name: a dot for each run's value, the mean and its 95 % interval. Undefined values have no dot.

    zero: whether the values are differences, of which 0 is none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.2 + 0.42 * len(values)), layout="constrained")
    axes = figure.subplots()
    if zero:
        axes.axvline(0, color="0.7", lw=0.8)
    for row, each in enumerate(values.values()):
        found = interval(each)
        axes.plot(each, np.full(len(each), row + 0.18), "o", color="C0", ms=4, alpha=0.5, mew=0)
        if found.n:
            axes.plot([found.low, found.high], [row, row], color="C1", lw=2)
            axes.plot(found.mean, row, "D", color="C1", ms=6)
            axes.annotate(
                f"{found.mean:.4f}",
                (found.mean, row),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.grid(axis="x", color="0.93")
    axes.set(title=title, xlabel=xlabel)
    axes.spines[["top", "right"]].set_visible(False)
    plots.save(figure, path)
