"""The results notebook out of its template."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxlab.core.notebooks import notebook
from submit.files.atomic import atomic

_TEMPLATE = Path(__file__).with_name("notebook.py")


def write_notebook(
    path: Path, runs: Sequence[Path], settings: Sequence[str], options: dict[str, Any]
) -> None:
    """A notebook that makes the report of `runs` from Python, whole or not at all.

    settings, options: as `report` takes them. Raises SubmissionError where the disk refuses.
    """
    text = _TEMPLATE.read_text("utf-8")
    given = {
        "RUNS: list[str] = []": f"RUNS = {[str(run.resolve()) for run in runs]!r}",
        "SETTINGS: list[str] = []": f"SETTINGS = {list(settings)!r}",
        "OPTIONS: dict = {}": f"OPTIONS = {options!r}",
    }
    for before, after in given.items():
        text = text.replace(before, after, 1)
    with atomic(path) as file:
        file.write((json.dumps(notebook(text), indent=1) + "\n").encode())
