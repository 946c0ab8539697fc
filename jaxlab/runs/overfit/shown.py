"""What became of learning a few batches by heart: in the terminal, and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from jaxlab.core.bars import bars
from jaxlab.runs.overfit.varying import varying
from jaxlab.training import journal
from jaxlab.training.rundir import RunDirectory
from submit.files.atomic import atomic

if TYPE_CHECKING:
    from jaxlab.runs.overfit.overfit import Learned, Overfit

_WIDTH = 60  # characters, beside a name of 12
_REACH = 3.0  # standard deviations shown, either side
_CLASSES = 20  # that have a line each


def show(console: Console, found: "Overfit") -> None:
    """Pass or fail, the loss by epoch, the two distributions, and what to try."""

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    say("PASS" if found.passed else "FAIL")
    epochs = epoch_losses(found.path)
    if epochs:
        say(
            f"{'loss':>12}  {bars(_thinned(epochs))}  {epochs[0]:.3g} to {epochs[-1]:.3g} in {len(epochs)} epochs"
        )
    if found.broke:
        say(found.broke)
    for name, one in found.learned.items():
        judged = "squared error, in variances of each target" if one.truth.ndim > 1 else "cross-entropy"
        sign = "<" if one.loss < found.below else ">="
        say(f"{name}: {judged}: {one.loss:.4g} {sign} {found.below:g}, of {len(one.truth):,} samples")
        for line in _numbers(one) if one.truth.ndim > 1 else _classes(one):
            say(line)
    for number, line in enumerate(found.tries, 1):
        say(f"{'try, in this order:' + chr(10) if number == 1 else ''}{number:3d}. {line}")


def epoch_losses(path: Path) -> list[float]:
    """The loss of each epoch on the batches, in evaluation mode."""
    records = journal.read(RunDirectory(path).metrics, "validation")
    return [float("nan") if one.get("loss") is None else float(one["loss"]) for one in records]


def _thinned(values: Sequence[float]) -> np.ndarray:
    """At most so many as there is room for: each the mean of its neighbours."""
    return np.array([part.mean() for part in np.array_split(np.array(values), min(len(values), _WIDTH - 24))])


def _numbers(one: "Learned") -> list[str]:
    predicted, truth = standardised(one)
    counts = [
        np.histogram(np.clip(side, -_REACH, _REACH), _WIDTH, (-_REACH, _REACH))[0]
        for side in (predicted, truth)
    ]
    top = max(*(count.max() for count in counts), 1)
    named = zip(("predictions", "targets"), counts, strict=True)
    ends = f"{f'-{_REACH:g} sd':<{_WIDTH // 2}}{f'{_REACH:g} sd':>{_WIDTH // 2}}"
    return [*(f"{name:>12}  {bars(count, top)}" for name, count in named), f"{'':>12}  {ends}"]


def standardised(one: "Learned") -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truth of the targets that vary, both by the truth's mean and sd of each; known values alone."""
    varies = varying(one.truth)
    values, truth = (side[:, varies].astype(np.float64) for side in (one.values, one.truth))
    mean, sd, known = np.nanmean(truth, axis=0), np.nanstd(truth, axis=0), ~np.isnan(truth)
    return ((values - mean[None]) / sd[None])[known], ((truth - mean[None]) / sd[None])[known]


def counts_of(one: "Learned") -> tuple[np.ndarray, np.ndarray]:
    """Samples of each class, as predicted and as they are, of those that have a class."""
    classes, labelled = len(one.objective.targets), one.truth >= 0
    sides = (one.values.argmax(1)[labelled], one.truth[labelled])
    predicted, truth = (np.bincount(side, minlength=classes) for side in sides)
    return predicted, truth


def _classes(one: "Learned") -> list[str]:
    predicted, truth = counts_of(one)
    order = np.argsort(-truth, kind="stable")[:_CLASSES]
    top = max(int(predicted.max()), int(truth.max()), 1)
    lines = [f"{'':>20}  {'predicted':<28}  {'true':<28}"]
    for number in order:
        sides = (
            f"{side[number]:5d} {'█' * round(22 * side[number] / top):<22}" for side in (predicted, truth)
        )
        lines.append(f"{one.objective.targets[number]:>20.20}  {'  '.join(sides)}".rstrip())
    left = len(truth) - len(order)
    return [*lines, *([f"{'':>20}  and {left:,} more classes"] if left else [])]


def draw(found: "Overfit", path: Path) -> None:
    """The loss by update, and of each objective its two distributions."""
    from matplotlib.figure import Figure

    steps = journal.read(RunDirectory(found.path).metrics, "step")
    figure = Figure(figsize=(5 * (1 + len(found.learned)), 3.6), layout="constrained")
    course, *others = np.atleast_1d(figure.subplots(1, 1 + len(found.learned)))
    pairs = [(one["step"], one["loss"]) for one in steps if one.get("loss") is not None]
    course.plot(*zip(*pairs, strict=True) if pairs else ([], []), color="C0")
    if pairs and min(loss for _, loss in pairs) > 0:
        course.set_yscale("log")
    course.set(title=f"loss by update: {'pass' if found.passed else 'fail'}", xlabel="update")
    for axes, (name, one) in zip(others, found.learned.items(), strict=True):
        _draw_one(axes, name, one)
    for axes in (course, *others):
        axes.spines[["top", "right"]].set_visible(False)
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _draw_one(axes: Any, name: str, one: "Learned") -> None:
    if one.truth.ndim == 1:
        predicted, truth = counts_of(one)
        place = np.arange(len(truth))
        axes.bar(place - 0.2, truth, 0.4, color="0.8", label="true")
        axes.bar(place + 0.2, predicted, 0.4, color="C0", label="predicted")
        axes.set(title=f"{name}: loss {one.loss:.3g}", xlabel="class", ylabel="samples")
        if len(truth) <= _CLASSES:
            axes.set_xticks(place, [str(label) for label in one.objective.targets], rotation=90)
    else:
        predicted, truth = standardised(one)
        edges = np.linspace(-_REACH, _REACH, 41)
        axes.hist(np.clip(truth, -_REACH, _REACH), edges, color="0.85", label="targets")
        axes.hist(
            np.clip(predicted, -_REACH, _REACH), edges, color="C0", histtype="step", label="predictions"
        )
        axes.set(title=f"{name}: squared error {one.loss:.3g}", xlabel="standard deviations of the target")
    axes.legend(frameon=False)
