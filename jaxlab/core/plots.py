"""Figures, written as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from submit.files.atomic import atomic
from submit.metrics.table import headline_of, score_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss by step and epoch, learning rate, and the headline score by epoch, from metrics.jsonl's records.

    Of several objectives a second row has each one's loss, its gradient's length on the backbone, and their cosines.
    """
    from matplotlib.figure import Figure

    of = {split: [r for r in records if r["split"] == split] for split in ("step", "train", "validation")}
    if not of["validation"]:
        return
    score = score_of(headline_of(of["validation"][0]))
    several = [name for name in of["validation"][0] if name.endswith("/loss")]
    figure = Figure(figsize=(11, 6.6 if several else 3.4), layout="constrained")
    panels = figure.subplots(2 if several else 1, 3, squeeze=False)
    loss, right, rate = panels[0]
    loss.plot(*_xy(of["step"], "loss"), color="0.8", lw=0.8, label="each step")
    for split, colour in (("train", "C0"), ("validation", "C1")):
        loss.plot(*_xy(of[split], "loss"), color=colour, label=split)
        right.plot(*_xy(of[split], score.name), color=colour, label=split)
    rate.plot(*_xy(of["step"], "learning_rate"), color="C2")
    steps, values = _xy(of["validation"], score.name)
    if values:
        best = max(values, key=score.worth)
        right.plot(steps[values.index(best)], best, "o", color="C1", label=f"best {best:.3f}")
    for axes, title in ((loss, "loss"), (right, score.label), (rate, "learning rate")):
        axes.set(title=title)
    loss.legend(frameon=False)
    right.legend(frameon=False)
    if several:
        _objectives(panels[1], of, several)
    for axes in panels.flat:
        axes.set(xlabel="step")
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _objectives(panels: Any, of: Mapping[str, Sequence[dict[str, Any]]], losses: Sequence[str]) -> None:
    """Each objective's loss, and how their gradients agree. losses: their names in the records."""
    loss, norm, cosine = panels
    for number, name in enumerate(losses):
        objective, colour = name.removesuffix("/loss"), f"C{number}"
        loss.plot(*_xy(of["train"], name), color=colour, lw=0.8, ls="--")
        loss.plot(*_xy(of["validation"], name), color=colour, label=objective)
        norm.plot(*_xy(of["train"], f"{objective}/gradient_norm"), color=colour, label=objective)
    for name in dict.fromkeys(name for record in of["train"] for name in record):
        if name.endswith("/gradient_cosine"):
            cosine.plot(*_xy(of["train"], name), label=name.rpartition("/")[0].replace("/", " and "))
    loss.set(title="loss of each (dashed: training)")
    norm.set(title="gradient on the backbone, length")
    cosine.set(title="cosine between gradients", ylim=(-1.05, 1.05))
    cosine.axhline(0, color="0.8", lw=0.8)
    loss.legend(frameon=False)
    if cosine.get_legend_handles_labels()[0]:
        norm.legend(frameon=False)
        cosine.legend(frameon=False)


def _xy(records: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    kept = [record for record in records if record.get(name) is not None]  # where it was defined
    return [record["step"] for record in kept], [record[name] for record in kept]


def score_dots(
    scores: Mapping[str, float], path: Path, title: str = "mean score over targets, cross-validated"
) -> None:
    """A dot for each band of a ridge regression, or for each fold, from the lowest to the highest score.

    No bars: these would have to begin at 0, where what tells them apart is not seen.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1 + 0.22 * len(scores)), layout="constrained")
    axes = figure.subplots()
    values = np.array(list(scores.values()), float)
    axes.plot(values, list(scores), "o", color="C1")
    for row, value in enumerate(values):
        axes.annotate(
            f"{value:.3f}", (value, row), (6, 0), textcoords="offset points", va="center", fontsize=8
        )
    seen = values[np.isfinite(values)]
    if len(seen):
        spare = 0.15 * (seen.max() - seen.min()) or 0.05
        axes.set_xlim(seen.min() - spare, seen.max() + 2 * spare)
    axes.grid(axis="y", color="0.9")
    axes.invert_yaxis()
    axes.set(title=title, xlabel="score")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def save(figure: "Figure", path: Path) -> None:
    """Whole or not at all. Raises SubmissionError where the disk refuses."""
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120)
