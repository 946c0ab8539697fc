"""The runs of a study beside one another, as their files have them, trained to their end or not."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.intervals import Interval, interval
from jaxlab.core.words import counted
from jaxlab.report import frame
from jaxlab.report.drawing import AFTER, FAINT, Picture, canvas, label
from jaxlab.report.results.reading import Reading, reading
from jaxlab.report.results.section import Part, Section, missing
from jaxlab.training.budget import duration_text
from jaxlab.training.rundir import RunDirectory
from submit.metrics.table import Score

_ROWS = 200
_DOTS = 60
_CURVES = 100
_AXES = 8
_MOST = 10_000  # directories that are looked at


@dataclass(eq=False)
class Variant:
    """One run of a study, or the runs of a study within it. values: of the fields in which variants differ."""

    name: str
    runs: Sequence[Reading]
    values: Mapping[str, Any]

    @property
    def scores(self) -> list[float]:
        """The headline of each run that has one."""
        return [run.score for run in self.runs if run.score is not None and math.isfinite(run.score)]

    @property
    def score(self) -> float | None:
        """Their mean."""
        return float(np.mean(self.scores)) if self.scores else None

    @property
    def headline(self) -> Score | None:
        return next((run.headline for run in self.runs if run.headline is not None), None)

    @property
    def seconds(self) -> float | None:
        known = [run.seconds for run in self.runs if run.seconds is not None]
        return sum(known) if known else None

    @property
    def interval(self) -> Interval:
        """Of the mean of its runs, by Student's t."""
        return interval(self.scores)


def variants_of(path: Path) -> list[Variant]:
    """The run directories within a study's, in the order of their names' numbers; none of what is no study."""
    inside = [child for child in sorted(path.iterdir(), key=_order)[:_MOST] if RunDirectory(child).exists()]
    found = [(child.name, _runs(child), reading(RunDirectory(child), child.name).config) for child in inside]
    flat = [_flat(config) for _, _, config in found]
    names = [name for name in dict.fromkeys(name for one in flat for name in one) if _varies(name, flat)]
    return [
        Variant(name, runs, {field: one.get(field) for field in names})
        for (name, runs, _), one in zip(found, flat, strict=True)
    ]


def _runs(path: Path) -> list[Reading]:
    """The run in a directory, or those of a study in it."""
    inside = [child for child in sorted(path.iterdir(), key=_order) if RunDirectory(child).exists()]
    own = reading(RunDirectory(path), path.name)
    return [own] if own.validations or not inside else [run for child in inside for run in _runs(child)]


def _order(path: Path) -> list[Any]:
    """By name, numbers as such: fold10 comes after fold9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


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


def section(variants: Sequence[Variant], settings: bool = True) -> Section:
    """The table, and pictures of it. settings: whether scores by each setting are among them."""
    return Section(counted(len(variants), "run") + " of the study", tuple(_parts(variants, settings)))


def _parts(variants: Sequence[Variant], settings: bool) -> Iterator[Part]:
    score = next((one.headline for one in variants if one.headline is not None), None)
    if score is None:
        yield from missing(["No run of it has been validated yet."])
    else:
        known = [one for one in variants if one.score is not None]
        yield _summary(known, len(variants), score)
        yield _dots(sorted(known, key=lambda one: -score.worth(one.score or 0.0)), score)
        if any(len(run.validations) > 1 for one in known for run in one.runs):
            yield _curves(known, score)
        fields = searched(known) if settings else []
        if fields and len(known) >= 4:
            yield _parallel(known, fields, score)
            yield from _slices(known, fields, score)
    yield _table(variants, score)


def _summary(known: Sequence[Variant], total: int, score: Score) -> str:
    """In a sentence: of seeds mean and interval, of folds the mean, whose networks share samples, else the best."""
    found = interval([value for one in known for value in one.scores])
    words = f"{score.label} of {counted(found.n, 'run')}"
    varied = {name.rpartition(".")[2] for one in known for name in one.values}
    if varied <= {"seed", "fold"} and found.n > 1:
        words += f": mean {found.mean:.4f}, standard deviation {found.sd:.4f}"
        if varied == {"seed"}:
            words += f", 95 % interval of the mean {found.low:.4f} to {found.high:.4f}"
    best = max(known, key=lambda one: score.worth(one.score or 0.0))
    words += f"; the best is {best.name}, {best.score:.4f}."
    if len(known) < total:
        words += f" {total - len(known)} have no score yet."
    return f'<p class="lead">{frame.text(_begun(words))}</p>'


def _dots(ordered: Sequence[Variant], score: Score) -> Picture:
    shown = ordered[:_DOTS]
    size = (4.6, 0.9 + 0.19 * max(len(shown), 3))
    rows = np.arange(len(shown))
    with canvas(score.label, size=size) as (figure, axes):
        for row, one in zip(rows, shown, strict=True):
            if len(one.scores) > 1:
                axes.plot((one.interval.low, one.interval.high), (row, row), color=AFTER, lw=1)
        axes.plot([one.score for one in shown], rows, "o", color=AFTER, ms=5).pop().set_gid("runs")
        axes.set_yticks(rows, [label(one.name) for one in shown], fontsize=7)
        axes.grid(axis="y", color=FAINT)
        axes.invert_yaxis()
    titles = [f"{one.name}: {one.score:.4f}{_told(one)}" for one in shown]
    some = f", the best {_DOTS} of {len(ordered):,}" if len(ordered) > len(shown) else ""
    lines = "; lines: 95 % intervals over its runs" if any(len(one.scores) > 1 for one in shown) else ""
    return Picture("runs", f"{_begun(score.label)} of each{some}{lines}", figure, {"runs": titles})


def _curves(variants: Sequence[Variant], score: Score) -> Picture:
    """Validation of each run by step, the best one's in colour."""
    best = max(variants, key=lambda one: score.worth(one.score or 0.0))
    with canvas("step", score.label) as (figure, axes):
        for one in sorted(variants, key=lambda one: one is best)[-_CURVES:]:
            for run in one.runs:
                known = {step: of.get(score.name) for step, of in run.validations.items()}
                steps = sorted(step for step, value in known.items() if value is not None)
                colour = AFTER if one is best else FAINT
                axes.plot(steps, [known[step] for step in steps], color=colour, lw=1)
    return Picture("curves", f"{_begun(score.label)} by epoch of each run, {best.name} in colour", figure)


def _begun(words: str) -> str:
    return words[:1].upper() + words[1:]


def _told(one: Variant) -> str:
    told = ", ".join(
        f"{name.rpartition('.')[2]} {_cell(value)}" for name, value in list(one.values.items())[:6]
    )
    return f" ({told})" if told else ""


def searched(variants: Sequence[Variant]) -> list[str]:
    """The fields that make variants differ and are no mere repetition: neither a seed nor a fold."""
    names = [
        name
        for name in (variants[0].values if variants else ())
        if name.rpartition(".")[2] not in ("seed", "fold")
    ]
    return names[:_AXES]


def places(values: Sequence[Any]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Where values lie on an axis from 0 to 1, and its marks: numbers by size, by logarithm over wide ranges."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and all(map(math.isfinite, numbers)):
        x = np.array(numbers, float)
        if x.min() > 0 and x.max() >= 20 * x.min():
            x = np.log(x)
        span = x.max() - x.min() or 1.0
        ends = {float(min(numbers)): 0.0, float(max(numbers)): 1.0}
        return (x - x.min()) / span, [(at, f"{value:.3g}") for value, at in ends.items()]
    names = list(dict.fromkeys(_cell(value) for value in values))
    at = {name: number / max(len(names) - 1, 1) for number, name in enumerate(names)}
    return np.array([at[_cell(value)] for value in values]), [(at[name], name) for name in names[:12]]


def _parallel(variants: Sequence[Variant], fields: Sequence[str], score: Score) -> Picture:
    from matplotlib import colormaps

    columns = [places([one.values[name] for one in variants]) for name in fields]
    scores = [one.score or 0.0 for one in variants]
    columns.append(places(scores))
    shade = np.argsort(np.argsort([score.worth(value) for value in scores])) / max(len(scores) - 1, 1)
    colours = colormaps["viridis"](shade)
    with canvas(size=(max(4.6, 1.1 * len(columns)), 3.4)) as (figure, axes):
        for k in np.argsort(shade).tolist():
            axes.plot([column[k] for column, _ in columns], color=colours[k], lw=1, alpha=0.8)
        for number, (_, marks) in enumerate(columns):
            axes.axvline(number, color="0.6", lw=0.8)
            for place, words in marks:
                axes.text(number + 0.03, place, label(words), fontsize=7, va="center")
        labels = [label(name.rpartition(".")[2]) for name in fields]
        axes.set_xticks(range(len(columns)), [*labels, score.short or score.name], fontsize=8)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return Picture(
        "parallel", "A line for each run through its settings to its score, the best in yellow", figure
    )


def _slices(variants: Sequence[Variant], fields: Sequence[str], score: Score) -> Iterator[Picture]:
    """The score by each setting."""
    for number, name in enumerate(fields):
        values = [one.values[name] for one in variants]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        x = values if numeric else [label(_cell(value)) for value in values]
        with canvas(label(name), score.label) as (figure, axes):
            axes.plot(x, [one.score for one in variants], "o", ms=4, color=AFTER, alpha=0.7).pop().set_gid(
                "slice"
            )
            if numeric and min(values) > 0 and max(values) >= 20 * min(values):
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_formatter("")
        titles = [
            f"{one.name}: {one.score:.4f} at {_cell(value)}"
            for one, value in zip(variants, values, strict=True)
        ]
        yield Picture(f"setting-{number}", f"{_begun(score.label)} by {name}", figure, {"slice": titles})


def _table(variants: Sequence[Variant], score: Score | None) -> str:
    fields = list(variants[0].values)[:_AXES] if variants else []
    several = any(len(one.runs) > 1 for one in variants)
    header = ("run", *(name.rpartition(".")[2] or name for name in fields), *(("runs",) if several else ()),
              score.label if score else "score", *(("95 % interval",) if several else ()), "time")  # fmt: skip
    rows = []
    for one in variants[:_ROWS]:
        count = (f"{len(one.scores)} of {len(one.runs)}",) if several else ()
        found = one.interval
        ends = (f"{found.low:.4f} to {found.high:.4f}" if found.n > 1 else "",) if several else ()
        value = "" if one.score is None else f"{one.score:.4f}"
        took = "" if one.seconds is None else duration_text(one.seconds)
        rows.append((one.name, *(_cell(one.values[name]) for name in fields), *count, value, *ends, took))
    more = f"<p>{len(variants) - _ROWS:,} more are left out.</p>" if len(variants) > _ROWS else ""
    return frame.table(header, rows) + more


def _cell(value: Any) -> str:
    """A value of a config, in a few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 28 else f"{text[:27]}…"
