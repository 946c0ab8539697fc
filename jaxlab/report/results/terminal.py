"""`jaxlab compare`: several runs side by side, on a terminal of 80 columns or as JSON."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxlab.core.visible import visible
from jaxlab.report.results.evidence import Evidence
from jaxlab.report.results.facts import shortened
from jaxlab.report.results.paired_studies import studies
from jaxlab.report.results.reading import Reading, read
from jaxlab.report.results.report import check_subject, distinct, evidence_of
from jaxlab.report.results.side_by_side import config_changes, ends, facts_table, rows
from submit.cli.tables import score_table
from submit.cli.terminal import plain_console
from submit.files.json_text import plain

_DIFFERENCES = 20
_VALUE = 60  # characters


def show(
    runs: Sequence[Path],
    settings: Iterable[str] = (),
    *,
    quick: bool = False,
    objective: str | None = None,
    subject: str | None = None,
    as_json: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Print the comparison. Raises UserError where a path is no run directory, or an objective is none of a run's."""
    settings = tuple(settings)
    readings = [read(path, name, settings) for path, name in zip(runs, distinct(runs), strict=True)]
    check_subject(readings, subject)
    found = [evidence_of(one, quick, objective, log, untrained=False, subject=subject) for one in readings]
    if as_json:
        print(json.dumps(plain(compared(readings, found)), indent=1, allow_nan=False))
    else:
        render(readings, found, plain_console())


def compared(readings: Sequence[Reading], found: Sequence[Evidence | None]) -> dict[str, Any]:
    """{"schema", "runs", "studies", "facts", "config", "missing"}, ready for JSON.

    runs: as `Row` has them. config: {run: [(field, the first's, its own)]}.
    """
    return {
        "schema": 1,
        "runs": [asdict(one) for one in rows(readings, found)],
        "studies": [asdict(one) for one in studies(readings)],
        "facts": dict(facts_table(readings, found)),
        "config": {one.name: config_changes(readings[0], one) for one in readings[1:]},
        "missing": {one.name: list(dict.fromkeys(one.missing)) for one in readings if one.missing},
    }


def render(readings: Sequence[Reading], found: Sequence[Evidence | None], console: Console) -> None:
    """Scores, what is known of each, and what differs in the configs."""
    made = rows(readings, found)
    for measure in dict.fromkeys(one.measure for one in made):
        table = score_table(measure or "no score", "score", "95 %", "to the first", "95 %", "of both")
        for one in (one for one in made if one.measure == measure):
            score = ("", "") if one.score is None else (f"{one.score.value:.4f}", _ends(one.score))
            less = ("", "", "")
            if one.difference is not None:
                less = (f"{one.difference.value:+.4f}", _ends(one.difference, "+.4f"), f"{one.shared:,}")
            table.add_row(one.name, *score, *less)
        console.print(table)
    for line in _sentences(readings, made):
        console.print(line, soft_wrap=True)
    console.print()
    table = score_table("", *(one.name for one in readings))
    for name, cells in facts_table(readings, found):
        table.add_row(name, *(cells if len(set(cells)) > 1 else [cells[0], *[""] * (len(cells) - 1)]))
    for column in table.columns:
        column.no_wrap, column.overflow, column.justify = False, "fold", "left"
    console.print(table)
    for other in readings[1:]:
        found_changes = config_changes(readings[0], other)
        same = "" if found_changes else " the same config"
        console.print(f"\n{readings[0].name} -> {other.name}:{same}", soft_wrap=True)
        for path, *sides in found_changes[:_DIFFERENCES]:
            console.print(
                f"  {path}: {' -> '.join(shortened(side, _VALUE) for side in sides)}", soft_wrap=True
            )
        if len(found_changes) > _DIFFERENCES:
            console.print(f"  and {len(found_changes) - _DIFFERENCES:,} more (--json has all)")


def _sentences(readings: Sequence[Reading], made: Any) -> Iterator[str]:
    """What keeps runs from being compared, and how studies compare."""
    for one in made:
        if one.why:
            yield f"{one.name}: no paired difference to the first: {one.why}"
    for pair in studies(readings):
        yield pair.words(readings[0].name)
    for reading in readings:
        for sentence in dict.fromkeys(reading.missing):
            yield f"{reading.name}: {visible(sentence)}"


def _ends(interval: Any, form: str = ".4f") -> str:
    return ends(interval, form).replace(" to ", " ")
