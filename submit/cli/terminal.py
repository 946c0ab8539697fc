"""What the commands say on a terminal: names and numbers as they are, whoever wrote them."""

import io
import re
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and new line


class _Plain(Console):
    def render_str(self, text: str, **more: Any) -> Text:
        return super().render_str(visible(text), **more)


def plain_console() -> Console:
    """A console that takes nothing for markup, an emoji or a command: neither `[/b]` in a name, `:cat:` nor `\\x1b`."""
    return _Plain(highlight=False, markup=False, emoji=False)


def take_any_text() -> None:
    """Standard output prints what its encoding lacks, such as a name in another script, by its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def visible(value: Any) -> Any:
    """Text, or JSON, with control characters written out, as `\\x1b`, which would move the cursor or set colours."""
    if isinstance(value, str):
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", value)
    if isinstance(value, Mapping):
        return {visible(name): visible(item) for name, item in value.items()}
    return [visible(item) for item in value] if isinstance(value, list) else value
