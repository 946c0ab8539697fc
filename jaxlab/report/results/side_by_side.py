"""Several runs beside one another: scores with paired differences, what differs in their configs, time and memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlab.core.intervals import interval as mean_interval
from jaxlab.core.types import UserError
from jaxlab.report import frame
from jaxlab.report.drawing import FAINT, Picture, canvas, label
from jaxlab.report.results.course import xy
from jaxlab.report.results.evidence import Evidence, accuracy
from jaxlab.report.results.facts import Change, changes, changes_table, facts
from jaxlab.report.results.paired_studies import studies
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Part, Section, missing, paragraph
from jaxlab.report.results.variants import overlap, variants_of
from submit.metrics.table import SCORES
from submit.scores import bootstrap
from submit.scores.by_target import ByTarget
from submit.scores.interval import Interval

_POINTS = 4000
_FACTS = (
    "data",
    "samples",
    "training",
    "parameters",
    "time",
    "memory",
    "memory of a device",
    "checkpoints",
    "devices",
)


@dataclass(frozen=True)
class Row:
    """One run beside the first.

    score: its headline on its own samples, an interval without ends where only the score is recorded.
    difference: that less the first's, of the samples that both predicted, `shared` of them; None where `why` says so.
    """

    name: str
    measure: str
    score: Interval | None
    difference: Interval | None = None
    shared: int = 0
    why: str = ""


def rows(readings: Sequence[Reading], found: Sequence[Evidence | None]) -> list[Row]:
    """A row a run, in their order."""
    first = found[0]
    made: list[Row] = []
    for number, (reading, evidence) in enumerate(zip(readings, found, strict=True)):
        measure, score = _score(reading, evidence)
        difference, shared, why = None, 0, ""
        if number and (first is None or evidence is None):
            why = "predictions of one of them are not known"
        elif number:
            try:
                difference, shared = paired(evidence, first)  # type: ignore[arg-type]
            except UserError as error:
                why = str(error)
        made.append(Row(reading.name, measure, score, difference, shared, why))
    return made


def _score(reading: Reading, evidence: Evidence | None) -> tuple[str, Interval | None]:
    if evidence is not None:
        name = evidence.run.primary.headline
        if (one := evidence.intervals.get(name)) is not None:
            return SCORES[name].label, one
    if reading.headline is None or reading.score is None:
        variants = variants_of(reading.rundir.path)
        known = [value for one in variants for value in one.scores]
        label = next((one.headline.label for one in variants if one.headline is not None), "")
        over_runs = mean_interval(known, overlap(reading.config))
        return label, Interval(over_runs.mean, over_runs.low, over_runs.high) if known else None
    return reading.headline.label, Interval(reading.score, np.nan, np.nan)


def paired(one: Evidence, other: Evidence) -> tuple[Interval, int]:
    """The headline of `one` less that of `other`, of the samples that both predicted, and how many these are.

    Raises UserError where they predict other things, or no samples are shared.
    """
    kinds = [evidence.run.kind for evidence in (one, other)]
    if kinds[0] != kinds[1] or set(one.run.targets) != set(other.run.targets):
        raise UserError("they predict other targets")
    at = {name: row for row, name in enumerate(other.predictions.ids.tolist())}
    rows = [(row, at[name]) for row, name in enumerate(one.predictions.ids.tolist()) if name in at]
    if len(rows) < 4:
        raise UserError(f"they share {len(rows)} samples, of which there are too few")
    mine, theirs = np.array(rows).T
    place = {name: column for column, name in enumerate(other.predictions.targets.tolist())}
    columns = [place[name] for name in one.predictions.targets.tolist()]
    values, against = one.values[mine], other.values[theirs][:, columns]
    if kinds[0] == "classification":
        names = np.array(list(one.run.targets))
        same = _names(one, names)[mine] == _names(other, np.array(list(other.run.targets)))[theirs]
        truth = one.truth[mine]
        estimates = [accuracy(side, truth) for side in (values, against)]
    else:
        truth = one.truth[mine]
        same = np.isclose(truth, other.truth[theirs][:, columns], equal_nan=True)
        if not np.isfinite(truth).all():
            raise UserError("some of the truth is missing")
        if not (np.isfinite(values).all() and np.isfinite(against).all()):
            raise UserError("some of the predictions are not finite")
        estimates = [bootstrap.estimates(side, truth, "pearson")[0] for side in (values, against)]
    if not same.all():
        raise UserError("of the same samples they know another truth")
    return estimates[0].minus(estimates[1]), len(rows)


def _names(evidence: Evidence, names: np.ndarray) -> np.ndarray:
    return np.where(evidence.truth < 0, "", names[evidence.truth])


def config_changes(first: Reading, other: Reading) -> list[Change]:
    """(field, the first's, the other's)."""
    return changes(first.config, other.config) if first.config and other.config else []


def facts_table(readings: Sequence[Reading], found: Sequence[Evidence | None]) -> list[tuple[str, list[str]]]:
    """(name, what it is in each run), of what tells runs apart."""
    each: list[Mapping[str, Any]] = [
        dict(facts(reading, evidence)) for reading, evidence in zip(readings, found, strict=True)
    ]
    return [
        (name, [str(one.get(name, "")) for one in each])
        for name in _FACTS
        if any(name in one for one in each)
    ]


def beside(readings: Sequence[Reading], found: Sequence[Evidence | None]) -> Iterator[Section]:
    """The first sections of a page of several runs."""
    made = rows(readings, found)
    yield Section("Scores", tuple(_scores(readings, made)))
    yield Section("Side by side", tuple(_pictures(readings, found, made)))
    table = frame.table(
        ("", *(one.name for one in readings)),
        ((name, *cells) for name, cells in facts_table(readings, found)),
        "words",
    )
    yield Section("Data, time and memory", (table,))
    yield Section("What differs in their configs", tuple(_configs(readings)))


def _scores(readings: Sequence[Reading], made: Sequence[Row]) -> Iterator[str]:
    cells = []
    for one in made:
        score = ("", "") if one.score is None else (f"{one.score.value:.4f}", ends(one.score, ".4f"))
        less = ("", "", "") if one.difference is None else (
            f"{one.difference.value:+.4f}", ends(one.difference, "+.4f"), f"{one.shared:,}"
        )  # fmt: skip
        cells.append((one.name, one.measure, *score, *less))
    yield frame.table(
        ("run", "score", "", "95 % interval", "to the first", "95 % interval", "samples of both"), cells
    )
    yield from missing(
        f"{one.name}: no paired difference to the first: {one.why}." for one in made if one.why
    )
    for pair in studies(readings):
        yield paragraph(f"{pair.words(readings[0].name)}.")


def ends(interval: Interval, form: str) -> str:
    """From where to where it goes; nothing where that is undefined."""
    known = np.isfinite(interval.low) and np.isfinite(interval.high)
    return f"{interval.low:{form}} to {interval.high:{form}}" if known else ""


def _pictures(
    readings: Sequence[Reading], found: Sequence[Evidence | None], made: Sequence[Row]
) -> Iterator[Part]:
    known = [(one, one.score) for one in made if one.score is not None]
    if known:
        with canvas(known[0][0].measure, size=(4.6, 0.9 + 0.22 * max(len(known), 3))) as (figure, axes):
            for row, (_, score) in enumerate(known):
                if np.isfinite(score.low):
                    axes.plot((score.low, score.high), (row, row), color=f"C{row}", lw=1.5)
                axes.plot([score.value], [row], "o", color=f"C{row}")
            axes.set_yticks(range(len(known)), [label(one.name) for one, _ in known])
            axes.grid(axis="y", color=FAINT)
            axes.set_ylim(len(known) - 0.5, -0.5)
        yield Picture("beside", "Score of each, with its 95 % interval where that is known", figure)
    curves = [
        (one, one.headline) for one in readings if one.headline is not None and len(one.validations) > 1
    ]
    if curves:
        with canvas("step", curves[0][1].label) as (figure, axes):
            for number, one in enumerate(readings):
                if any(one is other for other, _ in curves) and one.headline is not None:
                    of = [record for record in one.records if record["split"] == "validation"]
                    axes.plot(*xy(of, one.headline.name), color=f"C{number}", label=label(one.name))
            axes.legend()
        yield Picture("curves", "Validation by epoch", figure)
    yield from _target_by_target(readings, found)


def _target_by_target(readings: Sequence[Reading], found: Sequence[Evidence | None]) -> Iterator[Picture]:
    """Each target's correlation in the first run and in another."""
    first = found[0]
    if first is None or not isinstance(first.found, ByTarget):
        return
    for number, (reading, other) in enumerate(zip(readings, found, strict=True)):
        if not number or other is None or not isinstance(other.found, ByTarget):
            continue
        place = {name: column for column, name in enumerate(other.found.targets.tolist())}
        names = [name for name in first.found.targets.tolist() if name in place]
        names = [
            names[k] for k in np.unique(np.linspace(0, len(names) - 1, min(len(names), _POINTS)).astype(int))
        ]
        mine = {name: column for column, name in enumerate(first.found.targets.tolist())}
        x = first.found.each["pearson"][[mine[name] for name in names]]
        y = other.found.each["pearson"][[place[name] for name in names]]
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < 2:
            continue
        x, y, titles = x[known], y[known], [name for name, kept in zip(names, known, strict=True) if kept]
        low = min(x.min(), y.min())
        with canvas(f"r of {label(readings[0].name)}", f"r of {label(reading.name)}") as (
            figure,
            axes,
        ):
            axes.axline((low, low), (1, 1), color=FAINT, zorder=0)
            axes.scatter(x, y, s=8, alpha=0.5, lw=0, color=f"C{number}", rasterized=len(x) > 1500).set_gid(
                "both"
            )
        hover = (
            {}
            if len(x) > 1500
            else {"both": [f"{name}: {a:.3f}, {b:.3f}" for name, a, b in zip(titles, x, y, strict=True)]}
        )
        words = f"Target by target: above the line {reading.name} is better, on the samples of each"
        yield Picture(f"targets-{number}", words, figure, hover)


def _configs(readings: Sequence[Reading]) -> Iterator[str]:
    first = readings[0]
    for other in readings[1:]:
        yield f"<h3>{frame.text(f'{first.name} -> {other.name}')}</h3>"
        yield changes_table(config_changes(first, other)) or "<p>Nothing.</p>"
