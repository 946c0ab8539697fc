"""Settings of a command line, `field.field=value`, applied to a config; and values that are there already."""

import ast
import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import ValidationError

from jaxlab.core.component import Component, hints_of, strict, wrong_type
from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError

C = TypeVar("C", bound=Component)


class _Setting(NamedTuple):
    """path: what is left of it, below the node at hand. given: text to be read, or `_Exactly` a value.

    said: as the user wrote it, option and all.
    """

    path: list[str]
    given: Any
    said: str


class _Exactly(NamedTuple):
    value: Any


def override(config: C, settings: Iterable[str], option: str = "--set") -> C:
    """`config` with every `field.field=value` applied at once, each typed by its field's hint.

    option: by which they were given, for messages.
    Raises UserError for an unknown field (naming the nearest) or a value that its hint refuses.
    """
    split = []
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"{option} {setting}: expected field=value")
        split.append(_Setting(path.split("."), text, f"{option} {setting}"))
    return _replaced(config, split)


def assigned(config: C, values: Mapping[str, Any]) -> C:
    """`config` with each {"field.field": value} at once; a value is taken as it is, and may be a component.

    Raises UserError as `override` does.
    """
    given = [
        _Setting(path.split("."), _Exactly(value), f"{path}={value!r:.60}") for path, value in values.items()
    ]
    return _replaced(config, given)


def value_at(config: Component, path: str, said: str = "") -> Any:
    """What is at `field.field`. said: what a message begins with.

    Raises UserError for an unknown field (naming the nearest).
    """
    return _at(config, path.split("."), said or path)


def read_at(config: Component, path: str, text: str, said: str) -> Any:
    """The value that `text` means for what is at `field.field`, by the field's hint alone. Raises UserError."""
    *before, last = path.split(".")
    node = _at(config, path.split("."), said, len(before))
    _child(node, last, _Setting([last], None, said))
    return _parsed(node, last, text, said)


def _at(node: Any, path: list[str], said: str, depth: int | None = None) -> Any:
    left, beyond = path[:depth], [] if depth is None else path[depth:]
    while left:
        head, *left = _keyed(node, left)
        node = _child(node, head, _Setting([head, *left, *beyond], None, said))
    return node


def _keyed(node: Any, path: list[str]) -> list[str]:
    """`path` from `node` on, where a name that has points in it is one part."""
    if isinstance(node, Mapping):
        for count in range(len(path), 0, -1):
            if (key := ".".join(path[:count])) in node:
                return [key, *path[count:]]
    return path


def _replaced(node: Any, settings: list[_Setting]) -> Any:
    """`node` made anew, once: two settings may each contradict the old value of the other's field."""
    settings = [setting._replace(path=_keyed(node, setting.path)) for setting in settings]
    heads = dict.fromkeys(setting.path[0] for setting in settings)
    values = {head: _value(node, head, [s for s in settings if s.path[0] == head]) for head in heads}
    if isinstance(node, tuple):
        return tuple(values.get(str(position), item) for position, item in enumerate(node))
    if isinstance(node, Mapping):
        return {**node, **values}
    return dataclasses.replace(node, **values)


def _value(node: Any, head: str, settings: list[_Setting]) -> Any:
    """What becomes of the field or position `head`: the last whole value given, then what is set within it."""
    value: Any = _child(node, head, settings[0])
    within: list[_Setting] = []
    for (_, *rest), given, said in settings:
        if rest:
            within.append(_Setting(rest, given, said))
        elif isinstance(given, _Exactly):
            value, within = given.value, []
        else:
            value, within = _parsed(node, head, given, said), []
    return _replaced(value, within) if within else value


def _child(node: Any, head: str, first: _Setting) -> Any:
    said = first.said
    if isinstance(node, tuple):
        if head not in map(str, range(len(node))):
            raise UserError(f"{said}: {head!r} is not a position in a list of {len(node)}")
        return node[int(head)]
    if isinstance(node, Mapping):
        if head not in node:
            raise UserError(f"{said}: there is no {head!r}; there are {', '.join(node) or 'none'}")
        return node[head]
    if not isinstance(node, Component):
        raise UserError(f"{said}: {node!r} has no fields, so no {head!r}")
    hints = hints_of(type(node))
    if head not in hints:
        named = said.partition("=")[0].rpartition(" ")[2]
        before = named.split(".")[: -len(".".join(first.path).split("."))]
        inner = [
            ".".join([*before, field, head]) for field in hints if _has_field(getattr(node, field), head)
        ]
        known = f"nearest: {', '.join(inner)}" if inner else nearest(head, hints)
        raise UserError(f"{said}: {type(node).__name__} has no field {head!r}; {known}")
    return getattr(node, head)


def _has_field(value: Any, name: str) -> bool:
    return isinstance(value, Component) and name in hints_of(type(value))


def _parsed(node: Any, name: str, text: str, said: str) -> Any:
    """`text` as a Python literal where the field takes one, else as the bare word."""
    whole = "a part is chosen in the config file, --set changes fields of it"
    if isinstance(node, tuple | Mapping):
        if isinstance(node[name] if isinstance(node, Mapping) else node[int(name)], Component):
            raise UserError(f"{said}: {whole}")
        return _readings(text)[0]  # checked with the whole field
    error: ValidationError | None = None
    for value in _readings(text):
        try:
            return strict(type(node), name, value)
        except ValidationError as refused:
            error = refused
    assert error is not None
    hint = f"; {whole}" if _takes_parts(hints_of(type(node))[name]) else ""
    raise UserError(f"{said}: {wrong_type(type(node), name, text, error)}{hint}")


def _takes_parts(hint: Any) -> bool:
    parts = get_args(hint)
    return any(map(_takes_parts, parts)) if parts else isinstance(hint, type) and issubclass(hint, Component)


def _readings(text: str) -> list[Any]:
    words = {"none": None, "null": None, "true": True, "false": False}
    readings: list[Any] = [words[text.lower()]] if text.lower() in words else []
    with contextlib.suppress(ValueError, SyntaxError):
        readings.append(ast.literal_eval(text))
    return [*readings, text]
