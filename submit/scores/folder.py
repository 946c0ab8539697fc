"""Scores by class or by target as files of a folder: CSV, JSON and pictures."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit import figures
from submit.files.atomic import atomic
from submit.files.json_text import json_of
from submit.metrics import noise_normalised
from submit.scores.by_class import ByClass
from submit.scores.by_target import ByTarget


def write_scores(
    scores: Mapping[str, Any],
    found: ByClass | ByTarget,
    folder: Path,
    before: ByClass | ByTarget | None = None,
) -> list[str]:
    """Write `scores.json` and what belongs to `found` into a folder; the files' names.

    before: of the network before training, whose distribution is shown beside.
    Pictures are left out where matplotlib is not installed. Raises SubmissionError where the disk refuses.
    """
    with atomic(folder / "scores.json") as file:
        file.write(json_of(scores, 1).encode())
    if isinstance(found, ByClass):
        return ["scores.json", *_classes(found, folder)]
    earlier = {"before training": before} if isinstance(before, ByTarget) else {}
    written = _targets(found, folder, {**earlier, "after" if earlier else "predicted": found})
    return ["scores.json", *written]


def _classes(found: ByClass, folder: Path) -> Iterable[str]:
    rates = ("precision", "recall", "f1")
    columns: dict[str, list[Any]] = {"class": [one.name for one in found.classes]}
    columns |= {name: [getattr(one, name) for one in found.classes] for name in rates}
    yield _table(folder / "classes.csv", {**columns, "support": [one.samples for one in found.classes]})
    for name, types in found.by_type.items():
        rows = [(kind, *of) for kind, of in types.items()]
        yield _csv(folder / f"{name}.csv", pd.DataFrame(rows, columns=[name, "questions", "vqa_accuracy"]))
    if found.confusion is None:
        frame = pd.DataFrame(found.mistaken, columns=["true", "predicted", "samples"])
        yield _csv(folder / "mistaken.csv", frame)
    elif found.classes:
        names = columns["class"]
        frame = pd.DataFrame(found.confusion, pd.Index(names, name="true"), names)
        yield _csv(folder / "confusion.csv", frame, index=True)
        if figures.available():
            figures.confusion(found.confusion, names, folder / "confusion.png")
            yield "confusion.png"
    if (one := found.calibration) is not None:
        yield _csv(folder / "reliability.csv", pd.DataFrame(one.rows()))
        if figures.available():
            figures.calibration(one.before, one.after, folder / "reliability.png")
            yield "reliability.png"


def _targets(found: ByTarget, folder: Path, drawn: Mapping[str, ByTarget]) -> Iterable[str]:
    columns: dict[str, Any] = {"target": found.targets, **found.each}
    if found.ceiling is not None:
        known = found.ceiling > 0
        columns["ceiling"] = found.ceiling
        for name, of in (("noise_normalised", "pearson"), ("noise_normalised_spread", "spread_ratio")):
            values = np.full(len(known), np.nan)
            values[known] = noise_normalised(found.each[of], found.ceiling)
            columns[name] = values
    yield _table(folder / "targets.csv", columns)
    rows = [{"region": name, **row} for name, row in found.rows().items()]
    yield _csv(folder / "regions.csv", pd.DataFrame(rows))
    if figures.available():
        spread = {name: one.each["spread_ratio"] for name, one in drawn.items()}
        histograms = {name: one.histogram for name, one in drawn.items()}
        figures.distributions(histograms, spread, folder / "distributions.png")
        yield "distributions.png"


def _table(path: Path, columns: Mapping[str, Any]) -> str:
    return _csv(path, pd.DataFrame(columns))


def _csv(path: Path, frame: pd.DataFrame, index: bool = False) -> str:
    with atomic(path) as file:
        file.write(frame.to_csv(index=index, lineterminator="\n").encode())
    return path.name
