"""Config files: Python, run for the `experiment` that they define."""

import re
import runpy
import traceback
from pathlib import Path

from jaxlab.core.beside import importable
from jaxlab.core.component import Component
from jaxlab.core.mistyped import explained_attribute, explained_import, explained_name
from jaxlab.core.types import UserError

_PLAIN = (
    UserError,
    TypeError,
    SyntaxError,
    AttributeError,
)  # their messages say it all


def load_file(path: Path) -> Component:
    """The `experiment` that a config file defines, which is run for it, with the modules beside it.

    Raises UserError that names the file and line.
    """
    if not path.is_file():
        raise UserError(
            f"config {path}: no such file (`jaxlab configs list` shows those that ship with jaxlab)"
        )
    try:
        with importable(path):
            found = runpy.run_path(str(path)).get("experiment")
    except Exception as error:  # of the config's own lines, or of what they call
        raise UserError(f"config {path}{_line(error, path)}: {_explained(error)}") from error
    if not isinstance(found, Component):
        raise UserError(f"config {path}: expected a variable `experiment = Experiment(...)`, found {found!r}")
    return found


def _line(error: Exception, path: Path) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError) and error.lineno is not None:  # None of null bytes
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines else ""


def _explained(error: Exception) -> str:
    """Python's own message; of a name that cannot be imported with the nearest, of a missing keyword as a field."""
    if isinstance(error, ImportError):
        return explained_import(error, _homes())
    if isinstance(error, NameError):
        return explained_name(error, _homes())
    if isinstance(error, AttributeError):
        return explained_attribute(error, _homes())
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if not isinstance(error, _PLAIN):
        return f"{type(error).__name__}: {text}"
    if missing := re.match(r"(\w+)\.__init__\(\) missing .* keyword-only arguments?: (.*)", text):
        return f"{missing[1]} needs {missing[2]}"
    return text


def _homes() -> dict[str, str]:
    """{component: the room that it is imported from}, of jaxlab's own."""
    rooms = {name: ".".join(cls.__module__.split(".")[:2]) for name, cls in Component.types.items()}
    return {name: room for name, room in rooms.items() if room.startswith("jaxlab.")}
