"""The runs of a study beside one another: a table, their scores, and the settings that make them differ."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxlab.core.intervals import interval
from jaxlab.core.words import counted
from jaxlab.report import frame
from jaxlab.report.drawing import AFTER, FAINT, Picture, canvas, label
from jaxlab.report.results.facts import shortened, told
from jaxlab.report.results.section import Part, Section, begun, missing
from jaxlab.report.results.variants import Variant
from jaxlab.runs.search.records import Trial
from jaxlab.training.budget import duration_text
from submit.metrics.table import Score

_ROWS = 200
_DOTS = 60
_CURVES = 100
_AXES = 8
_COLUMNS = ("run", "runs", "ended", "time")  # of the table, beside fields


def section(
    variants: Sequence[Variant], settings: bool = True, importance: Mapping[str, float] | None = None
) -> Section:
    """The table, and pictures of it.

    settings: whether scores by each setting are among them. importance: of each setting, as `Run.importance` has it.
    """
    parts = [*_parts(variants, settings)]
    if importance:
        parts.insert(-1, _importance(importance))  # beside the other pictures
    return Section(counted(len(variants), "run") + " of the study", tuple(parts))


def _importance(shares: Mapping[str, float]) -> Picture:
    with canvas("share", size=(4.6, 0.9 + 0.25 * max(len(shares), 3))) as (figure, axes):
        axes.barh([label(name) for name in shares], list(shares.values()), color=AFTER, height=0.6)
        axes.set(xlim=(0, 1))
        axes.invert_yaxis()
    return Picture("importance", "Importance of each setting for being among the best (PED-ANOVA)", figure)


def _parts(variants: Sequence[Variant], settings: bool) -> Iterator[Part]:
    score = next((one.headline for one in variants if one.headline is not None), None)
    known = [one for one in variants if one.score is not None]
    if score is None:
        yield from missing(["No run of it has been validated yet."])
    elif not known:
        yield from missing([f"{begun(score.label)} is undefined, or not known yet, in every run of it."])
    else:
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
    return f'<p class="lead">{frame.text(begun(words))}</p>'


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
    return Picture("runs", f"{begun(score.label)} of each{some}{lines}", figure, {"runs": titles})


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
    return Picture("curves", f"{begun(score.label)} by epoch of each run, {best.name} in colour", figure)


def _told(one: Variant) -> str:
    short = _short(one.values)
    told = ", ".join(f"{short[name]} {_cell(value)}" for name, value in list(one.values.items())[:6])
    return f" ({told})" if told else ""


def _short(fields: Iterable[str]) -> dict[str, str]:
    """{field: its last part, or all of it where another field or column has that too}."""
    last = {name: name.rpartition(".")[2] for name in fields}
    often = Counter(last.values())
    return {
        name: short if often[short] == 1 and short not in _COLUMNS else name for name, short in last.items()
    }


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
        short = _short(variants[0].values)
        labels = [label(short[name]) for name in fields]
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
        yield Picture(f"setting-{number}", f"{begun(score.label)} by {name}", figure, {"slice": titles})


def _table(variants: Sequence[Variant], score: Score | None) -> str:
    """A row a run; columns that say the same of none are left out."""
    shown = variants[:_ROWS]
    columns = [("run", [one.name for one in shown])]
    for field, short in list(_short(variants[0].values).items())[:_AXES] if variants else []:
        columns.append((short, [_cell(one.values[field]) for one in shown]))
    if any(len(one.runs) > 1 for one in variants):
        columns.append(("runs", [f"{len(one.scores)} of {len(one.runs)}" for one in shown]))
    scores = ["" if one.score is None else f"{one.score:.4f}" for one in shown]
    columns.append((score.label if score else "score", scores))
    columns.append(("95 % interval", [_interval(one) for one in shown]))
    columns.append(("ended", [_ended(one.trial) for one in shown]))
    times = ["" if one.seconds is None else duration_text(one.seconds) for one in shown]
    columns.append(("time", times))
    kept = [(name, cells) for name, cells in columns if any(cells)]
    more = f"<p>{len(variants) - _ROWS:,} more are left out.</p>" if len(variants) > _ROWS else ""
    return frame.table((name for name, _ in kept), zip(*(cells for _, cells in kept), strict=True)) + more


def _interval(one: Variant) -> str:
    return f"{one.interval.low:.4f} to {one.interval.high:.4f}" if len(one.scores) > 1 else ""


def _ended(trial: Trial | None) -> str:
    """How a search's trial came to its end."""
    if trial is None:
        return ""
    at = f" at epoch {trial.epoch}" if trial.state == "stopped" and trial.epoch is not None else ""
    return f"{trial.state}{at}{f': {trial.reason}' if trial.state == 'failed' else ''}"


def _cell(value: Any) -> str:
    """A value of a config, in a few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return shortened(value if isinstance(value, str) else told(value), 28)
