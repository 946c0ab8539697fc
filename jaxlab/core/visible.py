"""Text that others wrote, as a terminal may show it."""

import re
from collections.abc import Mapping
from typing import Any

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)  # all but tab and new line: among them what moves the cursor


def visible(value: Any) -> Any:
    """`value`, text or JSON, with control characters written out as Python does: `\\x1b` begins colours."""
    if isinstance(value, str):
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", value)
    if isinstance(value, Mapping):
        return {visible(name): visible(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(visible(item) for item in value) if type(value) in (list, tuple) else value
    return value
