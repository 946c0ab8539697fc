"""A progress bar for long work."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def shown(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """`items`, with a progress bar on stderr where that is a terminal and there are several."""
    console = Console(stderr=True)
    hidden = not console.is_terminal or total < 2
    return track(items, what, total, console=console, transient=True, disable=hidden)
