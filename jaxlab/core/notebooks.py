"""A notebook out of a Python file whose cells begin with `# %%`, which linters and editors know."""

import re
from typing import Any

_CELL = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)


def notebook(text: str) -> dict[str, Any]:
    """The notebook as JSON (nbformat 4.5). What stands before the first cell is for those who read the file."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": _cells(text)}


def _cells(text: str) -> list[dict[str, Any]]:
    _, *pieces = _CELL.split(text)
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
