"""Text that others wrote, as a terminal may show it, and paths as somebody would type them here."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)  # all but tab and new line: among them what moves the cursor


def visible(value: Any) -> Any:
    """`value`, text or JSON, with control characters written out as Python does: `\\x1b` begins colours."""
    return _each(value, lambda text: _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text))


def from_here(value: Any) -> Any:
    """`value`, text or JSON, with paths below the working directory relative to it: a run keeps its own absolute."""
    try:
        here = str(Path.cwd())
    except OSError:  # it was removed
        return value
    if here == os.sep:
        return value
    own = re.compile(rf"(?<![\w./\\~-]){re.escape(here)}(?:{re.escape(os.sep)}(?=[^\s/:'\")])|(?![\w./\\-]))")
    return _each(value, lambda text: own.sub(lambda match: "" if match[0].endswith(os.sep) else ".", text))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with all text within it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_each(name, change): _each(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_each(item, change) for item in value) if type(value) in (list, tuple) else value
    return value
