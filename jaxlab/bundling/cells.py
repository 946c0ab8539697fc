"""The bundle's notebook out of its template, a Python file whose cells begin with `# %%`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TEMPLATE = Path(__file__).with_name("notebook.py")
_CELL = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)


def notebook(data: str | None, weights: Mapping[str, float]) -> dict[str, Any]:
    """The notebook as JSON (nbformat 4.5). data, weights: what its first cell starts with."""
    text = _TEMPLATE.read_text("utf-8").replace("DATA = None", f"DATA = {data!r}")
    text = text.replace("WEIGHTS: dict[str, float] = {}", f"WEIGHTS = {dict(weights)!r}")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": _cells(text)}


def _cells(text: str) -> list[dict[str, Any]]:
    _, *pieces = _CELL.split(text)  # what stands before the first is for those who read the template
    cells = []
    for number, (kind, body) in enumerate(zip(pieces[::2], pieces[1::2], strict=True)):
        body = re.sub("^# ?", "", body, flags=re.MULTILINE) if kind else body
        cell: dict[str, Any] = {
            "id": f"cell{number}",
            "metadata": {},
            "source": body.strip(),
        }
        cells.append(
            {"cell_type": "markdown", **cell}
            if kind
            else {"cell_type": "code", **cell, "execution_count": None, "outputs": []}
        )
    return cells
