"""Names that are not there: of a field, a class, a module; with those that were perhaps meant."""

import difflib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from jaxlab.core.types import UserError


class UnknownField(UserError, TypeError):
    """A component was given a field that it has not. Python's own class for it, too."""


def nearest(name: str, names: Iterable[str], what: str = "its fields") -> str:
    """`nearest: rate`, or all `names` where none is near."""
    names = list(names)
    close = _close(name, names, 0.5)
    return f"nearest: {', '.join(close)}" if close else f"{what}: {', '.join(names) or 'none'}"


def _close(name: str, names: Iterable[str], least: float) -> list[str]:
    """Up to three that are alike to at least so much, 1 being the same; capital letters are not minded."""
    alike: dict[str, list[str]] = {}
    for one in names:
        alike.setdefault(one.lower(), []).append(one)
    found = difflib.get_close_matches(name.lower(), alike, n=3, cutoff=least)
    return [one for low in found for one in alike[low]][:3]


def check_fields(cls: type[Any], values: tuple[Any, ...], fields: Iterable[str]) -> None:
    """Raises UnknownField where `cls(*values, **fields)` has a name that is no field, or a value without a name."""
    known = _parameters(cls)
    if known is None:
        return
    if values:
        field = next(iter(known), "field")
        named = f"{cls.__name__}({field}=...)"
        raise UnknownField(f"{cls.__name__}: expected fields by name, as {named}, found {values[0]!r:.60}")
    if unknown := [name for name in fields if name not in known]:
        each = "; ".join(f"{cls.__name__} has no field {name!r}; {nearest(name, known)}" for name in unknown)
        raise UnknownField(each)


def _parameters(cls: Any) -> tuple[str, ...] | None:
    """Names that its constructor takes; None where it takes any, or values without a name."""
    return _read_parameters(cls.__init__)


@cache
def _read_parameters(init: Any) -> tuple[str, ...] | None:
    _, *parameters = inspect.signature(init).parameters.values()
    by_name = all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in parameters)
    return tuple(one.name for one in parameters) if by_name else None


def explained_name(error: NameError, homes: Mapping[str, str]) -> str:
    """Python's message with where the name, or the nearest ones, come from. homes: {component: its module}."""
    name = error.name or ""
    if name in homes:
        return f"{error}: from {homes[name]} import {name}"
    close = _close(name, homes, 0.6)
    return (
        f"{error}; nearest: {', '.join(f'{one} of {homes[one]}' for one in close)}" if close else str(error)
    )


def explained_import(error: ImportError, homes: Mapping[str, str]) -> str:
    """Python's message with the nearest names. homes: {component: the module that has it}."""
    if isinstance(error, ModuleNotFoundError):
        package, _, last = (error.name or "").rpartition(".")
        within = _modules(package)
        return f"{error}; {nearest(last, within, f'{package} has')}" if within else str(error)
    name = re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))
    module = sys.modules.get(name[2]) if name else None
    if name is None or module is None:
        return str(error)
    said = f"cannot import name {name[1]!r} from {name[2]!r}"
    return _with_nearest(said, name[1], module, homes)


def _with_nearest(said: str, name: str, module: ModuleType, homes: Mapping[str, str]) -> str:
    if name in homes:
        return f"{said}: from {homes[name]} import {name}"
    public = getattr(module, "__all__", None) or [one for one in vars(module) if not one.startswith("_")]
    if near := _close(name, public, 0.5):
        return f"{said}; nearest: {', '.join(near)}"
    elsewhere = [f"{one} of {homes[one]}" for one in _close(name, homes, 0.6)]
    return f"{said}; nearest: {', '.join(elsewhere)}" if elsewhere else said


def explained_attribute(error: AttributeError, homes: Mapping[str, str]) -> str:
    """Python's message; of a name that a module lacks, with the nearest ones. homes: {component: its module}."""
    if not inspect.ismodule(error.obj):
        return str(error)
    said = f"module {error.obj.__name__!r} has no attribute {error.name!r}"
    return _with_nearest(said, error.name or "", error.obj, homes)


def _modules(package: str) -> list[str]:
    """Those below a package of jaxlab or submit."""
    path = getattr(sys.modules.get(package), "__path__", None)
    if path is None or package.partition(".")[0] not in ("jaxlab", "submit"):
        return []
    return [one.name for one in pkgutil.iter_modules(path) if not one.name.startswith("_")]
