"""Scores with intervals and ceiling, as the first thing that a reader looks for."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxlab.report import frame
from jaxlab.report.results.evidence import Evidence
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Section, begun, missing
from submit.metrics.table import SCORES
from submit.scores.by_target import ByTarget

_WORDS = {
    "ks_distance": "Kolmogorov-Smirnov distance of distributions",
    "ks_distance_median": "the same, median",
    "noise_normalised_spread_median": "median spread ratio / sqrt(ceiling)",
}


def section(reading: Reading, evidence: Evidence | None) -> Section:
    """Those of predictions with 95 % intervals, and those that training wrote down."""
    parts: list[str] = []
    if evidence is not None:
        parts += _of_predictions(evidence)
    if reading.scores:
        parts += _recorded(reading)
    return Section(
        "Scores", tuple(parts) or missing(["No scores: nothing was validated, and nothing is predicted."])
    )


def lead(reading: Reading, evidence: Evidence | None) -> str:
    """The headline in a sentence."""
    score = reading.headline
    if evidence is not None:
        name = evidence.run.primary.headline
        one = evidence.intervals.get(name)
        if one is not None:
            between = f" (95 % interval {one.low:.3f} to {one.high:.3f})" if np.isfinite(one.low) else ""
            value = f"{begun(SCORES[name].label)}: {one.value:.4f}{between}"
            return f"{value}, of {len(evidence.rows):,} samples that it did not learn."
    if score is not None and reading.score is not None:
        return f"{begun(score.label)}: {reading.score:.4f} of the samples that it was validated on."
    return ""


def _of_predictions(evidence: Evidence) -> Iterator[str]:
    rows = [
        (_label(name), f"{one.value:.4f}", _interval(one.low, one.high))
        for name, one in evidence.intervals.items()
    ]
    found = evidence.found
    summary = found.summary() if isinstance(found, ByTarget) else found.scores
    rows += [
        (_label(name), f"{value:.4f}", "")
        for name, value in summary.items()
        if name not in evidence.intervals
        and np.isfinite(value)
        and not name.endswith("_micro")  # the accuracy
    ]
    if isinstance(found, ByTarget) and found.ceiling is not None and (found.ceiling > 0).any():
        top = np.sqrt(np.clip(found.ceiling, 0, 1))
        rows.append(
            ("ceiling of r, the root of signal's share, mean over targets", f"{np.nanmean(top):.4f}", "")
        )
    yield frame.table(
        (f"{evidence.split.replace('_', ' ')}, {len(evidence.rows):,} samples", "score", "95 % interval"),
        rows,
    )
    if not evidence.intervals:
        yield from missing(["No intervals: some truth or some predictions are not finite."])
    elif not all(np.isfinite(one.low) for one in evidence.intervals.values()):
        yield from missing(
            [
                "Of some scores no interval is defined: too few samples, or targets that are constant in parts of them."
            ]
        )
    for note in evidence.notes:
        yield from missing([note])


def _recorded(reading: Reading) -> Iterator[str]:
    """What metrics.jsonl has of the best epoch."""
    step = reading.best_step
    train: dict[str, Any] = next(
        (one for one in reversed(reading.records) if one["split"] == "train" and one["step"] == step), {}
    )
    names = [name for name in reading.scores if name in SCORES]
    sides = [("validation", reading.scores), *([("training", train)] if train else [])]
    rows = [(_label(name), *(_value(of.get(name)) for _, of in sides)) for name in names]
    if rows:
        where = f"at step {step:,}" if step else "as fitted"
        inner = frame.table((f"recorded {where}", *(name for name, _ in sides)), rows)
        yield f"<details><summary>Scores that the run recorded</summary>{inner}</details>"


def _label(name: str) -> str:
    return SCORES[name].label if name in SCORES else _WORDS.get(name, name.replace("_", " "))


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(low: float, high: float) -> str:
    return f"{low:.4f} to {high:.4f}" if np.isfinite(low) and np.isfinite(high) else ""
