"""The bundle's notebook out of its template."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlab.core import notebooks

_TEMPLATE = Path(__file__).with_name("notebook.py")


def notebook(data: str | None, weights: Mapping[str, float]) -> dict[str, Any]:
    """The notebook as JSON (nbformat 4.5). data, weights: what its first cell starts with."""
    text = _TEMPLATE.read_text("utf-8").replace("DATA = None", f"DATA = {data!r}")
    return notebooks.notebook(text.replace("WEIGHTS: dict[str, float] = {}", f"WEIGHTS = {dict(weights)!r}"))
