"""The end of a command's help: an example, and what comes next."""

from collections.abc import Callable
from typing import Any


def with_example(example: str, then: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds to the docstring of a command, below its `click.command`, lines that stay as they are."""

    def added(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n{text(example, then)}"
        return function

    return added


def text(example: str, then: str) -> str:
    """As in a docstring; both are lines of at most 74 characters."""
    lines = ["\b", "Example:", *(f"  {line}" for line in example.splitlines())]
    return "\n".join([*lines, "", "\b", *f"Then: {then}".splitlines()])
