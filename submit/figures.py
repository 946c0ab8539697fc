"""Pictures of scores, written as PNG; matplotlib is needed for these alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from submit.errors import SubmissionError
from submit.files.atomic import atomic
from submit.metrics.calibration import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from submit.scores.by_target import Histogram

_NAMED = 40  # classes whose names fit beside a matrix
_COUNTED = 12  # and whose counts fit into its cells


def confusion(counts: np.ndarray, names: Sequence[str], path: Path) -> None:
    """Counts (c, c), a row a true class: each cell is coloured by its share of the row."""
    figure = _figure((max(4.0, min(0.45 * len(names) + 2, 14)),) * 2)
    confusion_on(figure.subplots(), counts, names)
    _save(figure, path)


def confusion_on(axes: "Axes", counts: np.ndarray, names: Sequence[str], named: int = _NAMED) -> None:
    """The same, drawn on axes. named: the most classes whose names fit beside it."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    if len(names) <= named:
        shown = [plain(name) for name in names]
        axes.set_xticks(range(len(names)), shown, rotation=90)
        axes.set_yticks(range(len(names)), shown)
    if len(names) <= _COUNTED:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    axes.figure.colorbar(image, label="share of the true class's samples", shrink=0.8)


def calibration(before: Reliability, after: Reliability, path: Path) -> None:
    """Accuracy by confidence, before and after a temperature, and how many samples have which."""
    figure = _figure((8, 3.6))
    share, count = figure.subplots(1, 2)
    reliability_on(share, before, after)
    edges = np.linspace(0, 1, len(before.samples) + 1)
    for one, label, colour in ((before, "as predicted", "C0"), (after, "with a temperature", "C1")):
        count.stairs(one.samples, edges, color=colour, label=label)
    count.set(xlabel="confidence", ylabel="samples")
    _save(figure, path)


def reliability_on(axes: "Axes", before: Reliability, after: Reliability) -> None:
    """The first half of it, drawn on axes."""
    axes.plot([0, 1], [0, 1], color="0.8")
    for one, label, colour in ((before, "as predicted", "C0"), (after, "with a temperature", "C1")):
        axes.plot(one.confidence, one.accuracy, "o-", color=colour, label=f"{label}, error {one.error:.3f}")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)


def distributions(
    histograms: Mapping[str, "Histogram"], spread: Mapping[str, np.ndarray], path: Path
) -> None:
    """Of several predictions by their names: how values are distributed beside the truth's, and spread ratios (t,)."""
    figure = _figure((9, 3.6))
    values, ratios = figure.subplots(1, 2)
    values_on(values, histograms)
    spread_on(ratios, spread)
    _save(figure, path)


def values_on(axes: "Axes", histograms: Mapping[str, "Histogram"]) -> None:
    """The first half of it, drawn on axes."""
    first = next(iter(histograms.values()))
    axes.stairs(first.truth, first.edges, fill=True, color="0.85", label="truth")
    for number, (name, histogram) in enumerate(histograms.items()):
        axes.stairs(histogram.predicted, histogram.edges, color=f"C{number}", label=plain(name))
    high = 1.3 * max(first.truth.max(), *(one.predicted[1:-1].max() for one in histograms.values()))
    axes.set(
        xlabel="standard deviations of the truth about its mean", ylabel="density", ylim=(0, max(high, 1e-9))
    )
    axes.legend(frameon=False)


def spread_on(axes: "Axes", spread: Mapping[str, np.ndarray]) -> None:
    """The second half."""
    top = max([1.5, *(float(each[np.isfinite(each)].max(initial=0)) for each in spread.values())])
    edges = np.linspace(0, min(top, 3.0), 41)
    for number, (name, each) in enumerate(spread.items()):
        known = each[np.isfinite(each)]
        counts = np.histogram(np.minimum(known, edges[-1]), edges)[0]
        axes.stairs(counts, edges, color=f"C{number}", label=plain(name))
    axes.axvline(1, color="0.8")
    axes.set(xlabel="sd of predictions / sd of the truth", ylabel="targets")


def available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def _figure(size: tuple[float, float]) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SubmissionError("pictures need matplotlib: pip install matplotlib.") from error
    return Figure(figsize=size, layout="constrained")


def plain(name: Any) -> str:
    """A name in which no dollar begins a formula; the beginning of a long one."""
    text = str(name)
    return (text if len(text) <= 24 else f"{text[:23]}…").replace("$", r"\$")


def _save(figure: "Figure", path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120)
