"""JSON: read, where it may come from anybody, and written."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a character that UTF-16 writes in two


def parsed_json(text: str, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What the text says. Raises ValueError or RecursionError where it is no JSON, or holds half a character.

    hook: what takes the place of each object, as `json.loads` has it.
    """
    found = json.loads(text, object_hook=hook)
    if _HALF.search(text):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"it holds half a character, \\u{ord(error.object[error.start]):04x}") from error
    return found


def json_of(value: Any, indent: int | None = None) -> str:
    """The text of plain values. A number that is not finite is null: JSON has no NaN.

    Raises TypeError and ValueError as `json.dumps` does.
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def plain(value: Any) -> Any:
    """`value` with NaN as None and numpy's numbers as Python's, all the way down."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
