"""Progress bars: on a terminal, and nowhere else a word.

rich before 14 ends a bar that it does not draw with an empty line, which then stands in logs.
"""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, track

from jaxlab.core.terminal import stderr_console

T = TypeVar("T")


class Bar(Progress):
    """rich's, started and stopped only where its console is a terminal."""

    def start(self) -> None:
        if self.console.is_terminal:
            super().start()

    def stop(self) -> None:
        if self.console.is_terminal:
            super().stop()


def tracked(items: Iterable[T], what: str, total: int, console: Console | None = None) -> Iterable[T]:
    """`items`, with a progress bar, on stderr unless another console is given."""
    console = console or stderr_console()
    return track(items, what, total, console=console, transient=True) if console.is_terminal else items
