"""`jaxlab runs`, as a table in 80 columns, or as JSON."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxlab.core.visible import visible
from jaxlab.runs.registry.listing import RunLine, differing, nested

_COLUMNS = ("run", "state", "epoch", "best", "data", "heard", "host")
_WIDTHS: dict[str, Any] = {"run": {"ratio": 1, "min_width": 8}, "host": {"max_width": 10}}


def console() -> Console:
    """Names are shown as they are: neither markup nor emoji."""
    return Console(highlight=False, markup=False, emoji=False)


def show(console: Console, lines: Sequence[RunLine], sort: str | None = None, as_nested: bool = True) -> None:
    """A line for each run, those of a study below it. sort: a score or field to show beside the usual score."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    extra = [sort] if sort is not None else []
    for name in (*_COLUMNS[:4], *extra, *_COLUMNS[4:]):
        table.add_column(Text(name), no_wrap=True, overflow="ellipsis", **_WIDTHS.get(name, {}))
    for line, depth in nested(lines) if as_nested else [(line, 0) for line in lines]:
        own = line.name.rpartition("/")[2] if depth else line.name
        more = [_short(line.values().get(name)) for name in extra]
        cells = [f"{'  ' * depth}{own}", _state(line), _epoch(line), _best(line), *more, line.data[:8]]
        cells += [_ago(line.heard), line.host]
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table)
    if waiting := sum(line.waiting for line in lines):
        console.print(
            f"{waiting:,} checkpoints are not validated: jaxlab evaluate --pending", highlight=False
        )


def show_differences(console: Console, lines: Sequence[RunLine]) -> None:
    """Of each run the fields of its config in which the runs differ."""
    found = differing(lines)
    if not any(found.values()):
        console.print("their configs are the same")
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    table.add_column("best", no_wrap=True)
    table.add_column("what differs", overflow="fold")
    for line in lines:
        told = "  ".join(f"{name}={json.dumps(value)}" for name, value in found[line.name].items())
        table.add_row(*(Text(visible(cell)) for cell in (line.name, _best(line), told)))
    console.print(table)


def as_json(lines: Sequence[RunLine], differences: bool = False) -> str:
    """A list of objects. differences: with the fields in which the configs differ, in place of the whole configs."""
    found = differing(lines) if differences else {}
    return json.dumps(
        [_object(line, found.get(line.name) if differences else None) for line in lines], indent=1
    )


def _object(line: RunLine, differs: Mapping[str, Any] | None) -> dict[str, Any]:
    data = asdict(line)
    config = data.pop("config")
    whole = {"config": config} if differs is None else {"differs": differs}
    return {**data, "score": line.score, **whole}


def _state(line: RunLine) -> str:
    share = f" {100 * line.step // line.steps}%" if line.state != "finished" and line.steps else ""
    return f"{line.state}{share}"


def _epoch(line: RunLine) -> str:
    if not line.epoch:
        return ""
    return f"{line.epoch}/{line.epochs:g}" if line.epochs else str(line.epoch)


def _best(line: RunLine) -> str:
    """The score of the best checkpoint; that it waits for one."""
    if line.score is None:
        return f"{line.waiting} pending" if line.waiting else ""
    return f"{line.metric} {line.score:.4f}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _ago(moment: float) -> str:
    """How long ago, or the day."""
    seconds = time.time() - moment
    for most, size, unit in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h")):
        if seconds < most:
            return f"{max(seconds, 0) // size:.0f}{unit} ago"
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d")
