"""A console for what is said beside the outcome: where nobody listens any more, work goes on."""

import contextlib
import sys
from typing import IO, Any, cast

from rich.console import Console


class _Stderr:
    """Standard error as it is when something is said. A terminal that was closed, or a full disk, loses the words."""

    def write(self, text: str) -> int:
        try:
            return sys.stderr.write(text)
        except (OSError, ValueError, AttributeError):
            return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def stderr_console() -> Console:
    """A console on standard error."""
    return Console(file=cast(IO[str], _Stderr()))
