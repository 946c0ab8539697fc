"""How autodoc shows the Python API: docstrings in the house's own form, and no members without one."""

import inspect
from functools import cached_property
from typing import Any

from docsite.docstrings import as_rst, names_of
from jaxlab.core.config import Component


def docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Autodoc's hook: the lines of a docstring, changed in place."""
    if what == "module":
        lines.clear()  # the page says what the module is for
        return
    lines[:] = as_rst("\n".join(lines).strip("\n"), names_of(thing))


def skipped(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Autodoc's hook: components have pages of their own, and a class's fields stand in its signature."""
    if what == "module":
        return True if isinstance(thing, type) and issubclass(thing, Component) else None
    return None if callable(thing) or isinstance(thing, property | cached_property) else True


def signature(
    app: Any, what: str, name: str, thing: Any, options: Any, arguments: str | None, returned: str | None
) -> tuple[str | None, str | None] | None:
    """Autodoc's hook: an abstract class cannot be called, and is shown without arguments."""
    return ("", returned) if what == "class" and inspect.isabstract(thing) else None
