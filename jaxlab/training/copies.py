"""What a run's two JSON files said as they were written, for the day on which one of them is cut short or rots.

RUN/copies.json has their texts, and a sum of these. A file that somebody has changed since counts as it is.
"""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlab.core.files import read_json, write_json
from jaxlab.core.types import FileWarning, UserError

_FILE = "copies.json"
_DAMAGED = ".damaged"


def keep(folder: Path, *names: str) -> None:
    """Copy these files of a run directory, once they are written. Raises OSError where that cannot be."""
    texts = {name: (folder / name).read_text("utf-8") for name in names}
    write_json(folder / _FILE, {"schema": 1, "files": texts, "sum": _sum(texts)})


def mended(file: Path, fault: UserError | None) -> bool:
    """Whether the file was not as it was written, and is so again; a warning says it. fault: why it cannot be read.

    What stood there is kept beside it.
    """
    text = _copy(file)
    try:
        same = text is None or file.read_bytes() == text.encode()
        changed = file.stat().st_mtime_ns > file.with_name(_FILE).stat().st_mtime_ns
    except OSError:
        return False
    if same or text is None or (changed and _is_whole(file)):
        return False
    partial = file.with_name(f"{file.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        file.replace(file.with_name(file.name + _DAMAGED))
        partial.replace(file)
    except OSError:  # a directory of somebody else's: whoever reads is told of the fault
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return False
    said = str(fault) if fault is not None else f"{file} is not as it was written"
    warnings.warn(
        f"{said}; it is so again, from {_FILE} beside it, and what stood there is {file.name}{_DAMAGED}",
        FileWarning,
        stacklevel=2,
    )
    return True


def _is_whole(file: Path) -> bool:
    try:
        read_json(file)
    except UserError:
        return False
    return True


def _copy(file: Path) -> str | None:
    """None where there is none, or it is damaged itself."""
    try:
        found = read_json(file.with_name(_FILE))
    except UserError:
        return None
    texts: Any = found.get("files")
    if not isinstance(texts, dict) or found.get("sum") != _sum(texts):
        return None
    text = texts.get(file.name)
    return text if isinstance(text, str) else None


def _sum(texts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
