"""JSON that may come from anybody."""

import json
import re
from collections.abc import Callable
from typing import Any

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
