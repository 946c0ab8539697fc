"""Figures of a search, written as PNG."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core import plots

_FEW = 5  # values of a field, each of which has its tick
_CLEAR = {
    "facecolor": "white",
    "edgecolor": "none",
    "alpha": 0.7,
    "pad": 0.5,
}  # behind words that lines cross


def history(
    scores: Mapping[int, float], improves: Callable[[float, float | None], bool], title: str, path: Path
) -> None:
    """A dot for each trial's score, {number: score} in order, and a line for the best so far.

    improves: (a score, the best before it or None) -> whether it is better.
    """
    from matplotlib.figure import Figure

    best: float | None = None
    line = []
    for score in scores.values():
        best = score if improves(score, best) else best
        line.append(np.nan if best is None else best)
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(list(scores), list(scores.values()), "o", color="0.6", ms=4, label="trial")
    axes.step(list(scores), line, where="post", color="C1", label="best so far")
    axes.set(xlabel="trial", title=title)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    plots.save(figure, path)


def parallel_coordinates(
    fields: Mapping[str, Sequence[Any]],
    logarithmic: set[str],
    scores: Sequence[float],
    worths: Sequence[float],
    score: str,
    path: Path,
) -> None:
    """A line for each trial through its settings, an axis each, and its score; the better, the darker.

    fields: {name: a value for each trial}, numbers or names. worths: of the scores, the higher the better.
    """
    from matplotlib.figure import Figure

    columns = [*(_column(values, name in logarithmic) for name, values in fields.items())]
    columns.append(_column(scores, False))
    order = np.argsort(worths, kind="stable")  # the best on top
    shade = np.empty(len(order))
    shade[order] = np.linspace(0.1, 1.0, len(order)) if len(order) > 1 else 1.0
    figure = Figure(figsize=(max(4.0, 1.6 * len(columns)), 4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(columns))
    heights = np.array([heights for heights, _ in columns]).T
    for trial in order:
        best = trial == order[-1]
        colour = "C1" if best else str(1 - 0.8 * shade[trial])
        axes.plot(places, heights[trial], color=colour, lw=2.2 if best else 0.9, alpha=0.9)
    for place, (_, ticks) in enumerate(columns):
        axes.axvline(place, color="0.7", lw=0.8, zorder=0)
        for height, text in ticks:
            axes.annotate(
                text,
                (place, height),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                bbox=_CLEAR,
            )
    axes.set_xticks(places, [*(name.replace(".", ".\n") for name in fields), score], fontsize=8)
    axes.set(yticks=[], title="settings of each trial and its score; the best in colour")
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    plots.save(figure, path)


def _column(values: Sequence[Any], logarithmic: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights from 0 to 1 of an axis's values, and (height, text) of its ticks."""
    if all(type(value) in (int, float) for value in values):
        found = np.log10(np.array(values, float)) if logarithmic else np.array(values, float)
        low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
        heights = (found - low) / (high - low) if high > low else np.full(len(found), 0.5)
        there = sorted(set(found.tolist()))
        ends = there if len(there) <= _FEW else [low, (low + high) / 2, high]
        at = [((end - low) / (high - low) if high > low else 0.5, end) for end in ends]
        return heights, [(height, f"{10**end if logarithmic else end:.3g}") for height, end in at]
    names = list(dict.fromkeys(map(str, values)))
    place = {name: k / (len(names) - 1) if len(names) > 1 else 0.5 for k, name in enumerate(names)}
    return np.array([place[str(value)] for value in values]), [(place[name], name[:24]) for name in names]


def importance_bars(shares: Mapping[str, float], path: Path) -> None:
    """A bar for each field: its share, of 1 together."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1 + 0.3 * len(shares)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(shares), list(shares.values()), color="C0")
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share", title="importance of each field (PED-ANOVA)")
    axes.spines[["top", "right"]].set_visible(False)
    plots.save(figure, path)
