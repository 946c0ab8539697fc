"""Figures of runs, composed as ever and written as one pixel: painting one takes longer than a tiny run's steps."""

import base64
from pathlib import Path
from typing import Any

from submit.files.atomic import atomic

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)


def save(figure: Any, path: Path) -> None:
    """In the place of `jaxlab.core.plots.save`."""
    with atomic(path) as file:
        file.write(PIXEL)
