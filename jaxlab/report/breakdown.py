"""Scores by target, region or class of a run's splits: on the terminal, as JSON, and as files of a folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from jaxlab.objectives import Labelled
from submit.cli.breakdown import show
from submit.files.atomic import atomic_folder
from submit.files.json_text import plain
from submit.scores.by_class import ByClass
from submit.scores.by_target import ByTarget
from submit.scores.folder import write_scores

Found = ByTarget | ByClass


def shown(
    breakdowns: Iterable[tuple[Labelled, Found]], console: Console | None
) -> Iterator[tuple[str, Found]]:
    """(name, scores) of one split after another, each printed to a console, if there is one."""
    for labelled, found in breakdowns:
        if console is not None:
            before = ", before training" if labelled.untrained else ""
            console.print(Text(f"\n{labelled.split}{before}: {found.samples:,} samples", "bold"))
            show(console, found)
        yield f"{labelled.split}{'_untrained' if labelled.untrained else ''}", found


def record(found: Found) -> dict[str, Any]:
    """Plain numbers, ready for JSON."""
    overall = found.summary() if isinstance(found, ByTarget) else {}
    return {"samples": found.samples, **plain(overall), **plain(found.to_dict())}


def write(found: dict[str, Found], folder: Path) -> None:
    """A folder within a new one for each split. Raises SubmissionError where one is there, or the disk refuses."""
    with atomic_folder(folder) as made:
        for name, one in found.items():
            write_scores(record(one), one, made / name, found.get(f"{name}_untrained"))
