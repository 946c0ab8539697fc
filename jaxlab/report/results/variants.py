"""The runs of a study, as their files have them, trained to their end or not."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.intervals import Interval, interval
from jaxlab.core.types import UserError
from jaxlab.report.results.reading import Reading, reading
from jaxlab.report.variants import folders
from jaxlab.runs.search import records
from jaxlab.runs.search.records import Trial
from jaxlab.training.rundir import RunDirectory
from submit.metrics.table import SCORES, Score

_MOST = 10_000  # directories that are looked at


@dataclass(eq=False)
class Variant:
    """One run of a study, or the runs of a study within it. values: of the fields in which variants differ.

    trial: what a search says of it, where it is one of that. overlap: of its runs, as the function has it.
    """

    name: str
    runs: Sequence[Reading]
    values: Mapping[str, Any]
    trial: Trial | None = None
    overlap: float = 0.0

    @property
    def scores(self) -> list[float]:
        """The headline of each run that has one; of a search's trial what was searched for, once it is complete."""
        if self.trial is not None:
            known = self.trial.state == "complete" and self.trial.score is not None
            return [self.trial.score] if known and self.trial.score is not None else []
        return [run.score for run in self.runs if run.score is not None and math.isfinite(run.score)]

    @property
    def score(self) -> float | None:
        """Their mean."""
        return float(np.mean(self.scores)) if self.scores else None

    @property
    def headline(self) -> Score | None:
        if self.trial is not None and self.trial.metric in SCORES:
            return SCORES[self.trial.metric]
        return next((run.headline for run in self.runs if run.headline is not None), None)

    @property
    def seconds(self) -> float | None:
        known = [run.seconds for run in self.runs if run.seconds is not None]
        return sum(known) if known else None

    @property
    def interval(self) -> Interval:
        """Of the mean of its runs, by Student's t."""
        return interval(self.scores, self.overlap)


def variants_of(path: Path) -> list[Variant]:
    """The run directories within a study's, in the order of their names' numbers; none of what is no study."""
    inside = folders(path)[:_MOST]
    found = [(child.name, _runs(child), reading(RunDirectory(child), child.name).config) for child in inside]
    flat = [_flat(config) for *_, config in found]
    names = [name for name in dict.fromkeys(name for one in flat for name in one) if _varies(name, flat)]
    return [
        Variant(name, runs, {field: one.get(field) for field in names}, _trial(path / name), overlap(config))
        for (name, runs, config), one in zip(found, flat, strict=True)
    ]


def overlap(config: Any) -> float:
    """Of a study in folds, how many samples a fold validates on for each that it learns from; 0 of any other config."""
    while isinstance(config, Mapping):
        if config.get("type") == "Folds" and isinstance(folds := config.get("folds"), int) and folds > 1:
            return 1 / (folds - 1)
        config = config.get("experiment")
    return 0.0


def _trial(path: Path) -> Trial | None:
    try:
        return records.read(path)
    except UserError:
        return None


def _runs(path: Path) -> list[Reading]:
    """The run in a directory, or those of a study in it."""
    inside = folders(path)
    own = reading(RunDirectory(path), path.name)
    return [own] if own.validations or not inside else [run for child in inside for run in _runs(child)]


def _flat(value: Any, at: str = "") -> dict[str, Any]:
    """{dotted name: what is no mapping}; a component's type is a value of its own field's name."""
    if not isinstance(value, Mapping):
        return {at: value}
    found: dict[str, Any] = {}
    for name, item in value.items():
        here = at if name == "type" else f"{at}.{name}" if at else str(name)
        found |= {here or "type": item} if name == "type" else _flat(item, here)
    return found


def _varies(name: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    return len({json.dumps(one.get(name), sort_keys=True) for one in flat}) > 1
