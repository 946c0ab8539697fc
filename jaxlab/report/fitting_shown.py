"""`jaxlab inspect WEIGHTS --for CONFIG`: what it prints."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxlab.core.visible import visible
from jaxlab.core.words import counted
from jaxlab.report.fitting import Fit, fits

SCHEMA = 1
_SHOWN = 4  # names of a kind; JSON has all


def show(path: Path, config: Path, experiment: Any, *, as_json: bool, console: Console | None = None) -> bool:
    """Print how weights fit the networks of a config; True where they would load into one. config: for the title.

    JSON: {"schema", "path", "for", "loads", "fits": [fields of `Fit`]}.
    """
    found = fits(path, experiment)
    loads = any(one.loads for one in found)
    if as_json:
        report = {"schema": SCHEMA, "path": str(path), "for": str(config), "loads": loads}
        print(json.dumps({**report, "fits": [asdict(one) for one in found]}, indent=1))
        return loads
    console = console or Console()
    for one in found:
        console.print(_table(one))
    return loads


def _table(fit: Fit) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in _lines(fit):
        table.add_row(name, Text(visible(text)))
    return table


def _lines(fit: Fit) -> Iterator[tuple[str, str]]:
    yield fit.part, f"{fit.model}: {'these weights load' if fit.loads else 'these weights would not load'}"
    if fit.wanted is not None:
        yield "  fits", f"{fit.fitting:,} of the network's {counted(fit.wanted, 'array')}"
    for kind, names in fit.problems.items():
        more = f", and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        yield f"  {len(names):,}", f"{kind}: {', '.join(names[:_SHOWN])}{more}"
    if not fit.problems and fit.why:
        yield "  why", fit.why
    for reason, count in fit.skipped.items():
        yield "  left out", f"{counted(count, 'array')}: {reason}"
    for note in fit.notes:
        yield "  note", note
    for words in fit.mend:
        yield "  take it" if fit.loads else "  mend", words
