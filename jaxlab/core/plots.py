"""Figures, written as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def training_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss by step and epoch, learning rate, and the headline score by epoch, from metrics.jsonl's records."""
    from matplotlib.figure import Figure

    of = {split: [r for r in records if r["split"] == split] for split in ("step", "train", "validation")}
    if not of["validation"]:
        return
    score = "pearson" if "pearson" in of["validation"][0] else "accuracy"
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    loss, right, rate = figure.subplots(1, 3)
    loss.plot(*_xy(of["step"], "loss"), color="0.8", lw=0.8, label="each step")
    for split, colour in (("train", "C0"), ("validation", "C1")):
        loss.plot(*_xy(of[split], "loss"), color=colour, label=split)
        right.plot(*_xy(of[split], score), color=colour, label=split)
    rate.plot(*_xy(of["step"], "learning_rate"), color="C2")
    best = max(of["validation"], key=lambda record: record[score])
    right.plot(best["step"], best[score], "o", color="C1", label=f"best {best[score]:.3f}")
    for axes, title in ((loss, "loss"), (right, _TITLES[score]), (rate, "learning rate")):
        axes.set(title=title, xlabel="step")
        axes.spines[["top", "right"]].set_visible(False)
    loss.legend(frameon=False)
    right.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


_TITLES = {"pearson": "mean Pearson r", "accuracy": "accuracy"}


def _xy(records: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    kept = [record for record in records if name in record]
    return [record["step"] for record in kept], [record[name] for record in kept]


def score_bars(
    scores: Mapping[str, float], path: Path, title: str = "mean score over targets, cross-validated"
) -> None:
    """A bar for each band of a ridge regression, or for each fold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 1 + 0.22 * len(scores)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(scores), list(scores.values()), color="C1")
    axes.invert_yaxis()
    axes.set(title=title)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
