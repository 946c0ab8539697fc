"""What lies within a config: its components, and where its files lie."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxlab.core.component import Component, hints_of, is_location

C = TypeVar("C", bound=Component)


def components(value: Any) -> Iterator[Component]:
    """`value`, where it is a component, and all components within it."""
    if isinstance(value, Component):
        yield value
        for name in hints_of(type(value)):
            yield from components(getattr(value, name))
    elif isinstance(value, tuple | Mapping):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from components(item)


def locations(value: Any, path: str = "") -> dict[str, str]:
    """{field, as `--set` names it: path or hub id} of each location that is set."""
    if isinstance(value, tuple):
        inside = [(str(position), item, False) for position, item in enumerate(value)]
    elif isinstance(value, Mapping):
        inside = [(name, item, False) for name, item in value.items()]
    elif isinstance(value, Component):
        hints = hints_of(type(value)).items()
        inside = [(name, getattr(value, name), is_location(hint)) for name, hint in hints]
    else:
        return {}
    found: dict[str, str] = {}
    for name, item, located in inside:
        where = f"{path}.{name}" if path else name
        if not located:
            found |= locations(item, where)
        elif isinstance(item, tuple):
            found |= {f"{where}.{position}": one for position, one in enumerate(item)}
        elif item is not None:
            found[where] = item
    return found


def anchored(config: C) -> C:
    """`config` whose relative paths to what is there are absolute, so that they mean the same from another folder."""
    return _anchored(config)


def _anchored(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_anchored, value))
    if isinstance(value, Mapping):
        return {name: _anchored(item) for name, item in value.items()}
    if not isinstance(value, Component):
        return value
    changed = {}
    for name, hint in hints_of(type(value)).items():
        item = getattr(value, name)
        if is_location(hint):
            new = tuple(map(_absolute, item)) if isinstance(item, tuple) else _absolute(item)
        else:
            new = _anchored(item)
        if new != item:
            changed[name] = new
    return dataclasses.replace(value, **changed) if changed else value


def _absolute(location: Any) -> Any:
    """A hub's id, and a path to nothing, stay as they are; what is meant of a file is written behind a `#`."""
    if not isinstance(location, str):
        return location
    place, mark, part = (location, "", "") if Path(location).exists() else location.partition("#")
    return f"{Path(place).absolute()}{mark}{part}" if place and Path(place).exists() else location
