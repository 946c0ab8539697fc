"""Predictions of classes: what is taken for what, each class's scores, and calibration."""

from collections.abc import Iterator

import numpy as np

from jaxlab.core.visible import visible
from jaxlab.report import frame
from jaxlab.report.drawing import AFTER, FAINT, Picture, canvas
from jaxlab.report.results.section import Part, Section, missing
from submit import figures
from submit.scores.by_class import MOST, ByClass, PerClass

_NAMED = 20  # classes whose names fit beside a small matrix
_GROUPS = 60
_ROWS = 30
_MISTAKEN = 10


def sections(found: ByClass, before: ByClass | None) -> Iterator[Section]:
    """before: of the network before training."""
    yield Section(f"Classes ({len(found.classes):,})", tuple(_classes(found, before)))


def _classes(found: ByClass, before: ByClass | None) -> Iterator[Part]:
    if found.without:
        yield from missing(
            [f"{found.without:,} samples are of none of the classes, or not finite, and count as wrong."]
        )
    if found.confusion is None:
        yield from missing([f"No matrix of what is taken for what: it is drawn of {MOST:,} classes at most."])
    else:
        yield _matrix(found)
    if len(found.classes) > _NAMED:
        yield _rates(found)
    if found.calibration is not None:
        with canvas() as (figure, axes):
            figures.reliability_on(axes, found.calibration.before, found.calibration.after)
        axes.set(xlabel="confidence", ylabel="accuracy")
        yield Picture(
            "reliability", "Calibration: accuracy by confidence, as predicted and with a temperature", figure
        )
    elif found.uncalibrated:
        yield from missing([f"No calibration: {found.uncalibrated}."])
    yield table(found.classes)
    if found.mistaken:
        rows = [(true, taken, f"{count:,}") for true, taken, count in found.mistaken[:_MISTAKEN]]
        yield "<h3>Taken for one another, most often first</h3>"
        yield frame.table(("true", "predicted", "samples"), rows)
    if before is not None:
        name = "accuracy"
        yield f"<p>Before training the {name} was {before.scores[name]:.4f}.</p>"


def _matrix(found: ByClass) -> Picture:
    assert found.confusion is not None
    counts, names = grouped(found.confusion, [visible(one.name) for one in found.classes])
    with canvas(size=(4.6, 3.8)) as (figure, axes):
        figures.confusion_on(axes, counts, names, _NAMED)
    axes.set(xlabel="predicted", ylabel="true")
    words = "What is taken for what, as shares of each true class"
    if len(counts) < len(found.classes):
        axes.set(xlabel="predicted, in groups", ylabel="true, in groups of classes")
        words += f"; of {len(found.classes):,} classes those that follow one another in {len(counts)} groups"
    return Picture("confusion", words, figure)


def grouped(counts: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """(g, g) counts and names of at most 60 groups of neighbouring classes: single cells of more are not seen."""
    if len(counts) <= _GROUPS:
        return counts, names
    starts = np.linspace(0, len(counts), _GROUPS + 1).astype(int)[:-1]
    summed = np.add.reduceat(np.add.reduceat(counts, starts, 0), starts, 1)
    return summed, [names[start] for start in starts]


def _rates(found: ByClass) -> Picture:
    """How recall is distributed over many classes."""
    with canvas("recall of a class", "classes") as (figure, axes):
        axes.hist([one.recall for one in found.classes if one.samples], np.linspace(0, 1, 21), color=AFTER)
        axes.axvline(found.scores["recall_macro"], color=FAINT)
    return Picture("recall", "Share of each class's samples that is recognised", figure)


def table(classes: tuple[PerClass, ...]) -> str:
    """Support and rates, of many classes the best and the worst."""
    shown = classes
    words = "Scores by class"
    if len(classes) > _ROWS:
        order = sorted(classes, key=lambda one: -one.f1)
        shown = (*order[: _ROWS // 2], *order[-_ROWS // 2 :])
        words = (
            f"Scores by class: the best {_ROWS // 2} and the worst {_ROWS // 2} of {len(classes):,}, by F1"
        )
    rows = [
        (one.name, f"{one.samples:,}", *(f"{rate:.3f}" for rate in (one.precision, one.recall, one.f1)))
        for one in shown
    ]
    inner = frame.table(("class", "samples", "precision", "recall", "F1"), rows)
    opened = " open" if len(classes) <= _ROWS else ""
    return f"<details{opened}><summary>{frame.text(words)}</summary>{inner}</details>"
