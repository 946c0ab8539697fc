"""One component of a name: what a second class of that name may be, and where each was defined."""

import dis
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import iscode
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from jaxlab.core.types import UserError


@dataclass(frozen=True)
class DefinedClass:
    """A class and where it was defined.

    file: None where it was typed into a notebook or an interpreter. body: the compiled class statement; None for a
        class made by `type(...)`. namespace: the globals of its module.
    """

    cls: type[Any]
    file: Path | None
    line: int
    body: CodeType | None
    namespace: Mapping[str, Any]

    def __str__(self) -> str:
        if _is_jaxlabs(self.cls):
            return f"{self.cls.__module__}.{self.cls.__qualname__}"
        return (
            f"{self.file}, line {self.line}" if self.file else f"line {self.line} of an interactive session"
        )


def defined(cls: type[Any]) -> DefinedClass:
    """The definition of a class that is being made now, by the innermost caller of its module."""
    frame: FrameType = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "builtins") != cls.__module__:
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    path = Path(file).resolve() if file else None
    body = _body(cls, frame.f_code, frame.f_lineno)
    return DefinedClass(cls, path, frame.f_lineno, body, frame.f_globals)


def check_name(new: DefinedClass, old: DefinedClass | None) -> None:
    """Raises UserError where a class takes the name of another: a config's JSON knows components by their names.

    The same class may be defined again: by the same file loaded again, by a copy of it such as a run keeps, or by hand
    in an interactive session. One of jaxlab's may only be reloaded.
    """
    if old is None or _is_again(new, old):
        return
    name = new.cls.__name__
    raise UserError(
        f"class {name}: expected one component of each name, found another {name} ({old}) beside this one ({new}); "
        "config.json knows components by their class names: choose another name"
    )


def _is_again(new: DefinedClass, old: DefinedClass) -> bool:
    if new.cls.__qualname__ != old.cls.__qualname__:
        return False
    if _is_jaxlabs(new.cls) or _is_jaxlabs(old.cls):
        return new.cls.__module__ == old.cls.__module__
    if _same_statement(new, old):
        return True
    same_namespace = new.namespace is old.namespace
    if new.file is None:
        return same_namespace  # a cell that is run again, changed or not
    return new.file == old.file and not same_namespace


def _same_statement(new: DefinedClass, old: DefinedClass) -> bool:
    if new.body is None or old.body is None:
        return False
    return _bases(new.cls) == _bases(old.cls) and _content(new.body) == _content(old.body)


def _is_jaxlabs(cls: type[Any]) -> bool:
    return cls.__module__.partition(".")[0] == "jaxlab"


def _bases(cls: type[Any]) -> list[str]:
    return [base.__name__ for base in cls.__bases__]


def _body(cls: type[Any], module: CodeType, line: int) -> CodeType | None:
    """The compiled body of the class statement at `line` of the code that runs it."""
    bodies = [
        code
        for code in module.co_consts
        if isinstance(code, CodeType)
        and code.co_qualname == cls.__qualname__
        and code.co_firstlineno <= line  # of the first decorator
    ]
    return max(bodies, key=lambda code: code.co_firstlineno, default=None)


def _content(code: CodeType) -> list[Any]:
    """What the code does, wherever it stands in its file and whatever its comments say."""
    found: list[Any] = []
    for step in dis.get_instructions(code):
        if step.argval == "__firstlineno__":  # which Python 3.13 and later store, loaded just before
            found.pop()
        elif step.opname != "EXTENDED_ARG":
            found.append((step.opname, _content(step.argval) if iscode(step.argval) else repr(step.argval)))
    return found
