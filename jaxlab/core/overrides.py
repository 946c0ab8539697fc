"""Settings of a command line, `field.field=value`, applied to a config."""

import ast
import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from jaxlab.core.component import Component, hints_of, strict, wrong_type
from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError

C = TypeVar("C", bound=Component)
Setting = tuple[list[str], str, str]  # path, text of the value, the whole as the user wrote it


def override(config: C, settings: Iterable[str]) -> C:
    """`config` with every `field.field=value` applied at once, each typed by its field's hint.

    Raises UserError for an unknown field (naming the nearest) or a value that its hint refuses.
    """
    split: list[Setting] = []
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: expected field=value")
        split.append((path.split("."), text, setting))
    return _replaced(config, split)


def _replaced(node: Any, settings: list[Setting]) -> Any:
    """`node` made anew, once: two settings may each contradict the old value of the other's field."""
    heads = dict.fromkeys(path[0] for path, _, _ in settings)
    values = {head: _value(node, head, [s for s in settings if s[0][0] == head]) for head in heads}
    if isinstance(node, tuple):
        return tuple(values.get(str(position), item) for position, item in enumerate(node))
    if isinstance(node, Mapping):
        return {**node, **values}
    return dataclasses.replace(node, **values)


def _value(node: Any, head: str, settings: list[Setting]) -> Any:
    """What becomes of the field or position `head`: the last whole value given, then what is set within it."""
    value, within = _child(node, head, settings[0]), []
    for (_, *rest), text, setting in settings:
        if rest:
            within.append((rest, text, setting))
        else:
            value, within = _parsed(node, head, text, setting), []
    return _replaced(value, within) if within else value


def _child(node: Any, head: str, first: Setting) -> Any:
    rest, _, setting = first
    if isinstance(node, tuple):
        if head not in map(str, range(len(node))):
            raise UserError(f"--set {setting}: {head!r} is not a position in a list of {len(node)}")
        return node[int(head)]
    if isinstance(node, Mapping):
        if head not in node:
            raise UserError(f"--set {setting}: there is no {head!r}; there are {', '.join(node) or 'none'}")
        return node[head]
    if not isinstance(node, Component):
        raise UserError(f"--set {setting}: {node!r} has no fields, so no {head!r}")
    hints = hints_of(type(node))
    if head not in hints:
        before = setting.partition("=")[0].split(".")[: -len(rest)]
        inner = [
            ".".join([*before, field, head]) for field in hints if _has_field(getattr(node, field), head)
        ]
        known = f"nearest: {', '.join(inner)}" if inner else nearest(head, hints)
        raise UserError(f"--set {setting}: {type(node).__name__} has no field {head!r}; {known}")
    return getattr(node, head)


def _has_field(value: Any, name: str) -> bool:
    return isinstance(value, Component) and name in hints_of(type(value))


def _parsed(node: Any, name: str, text: str, setting: str) -> Any:
    """`text` as a Python literal where the field takes one, else as the bare word."""
    whole = "a part is chosen in the config file, --set changes fields of it"
    if isinstance(node, tuple | Mapping):
        if isinstance(node[name] if isinstance(node, Mapping) else node[int(name)], Component):
            raise UserError(f"--set {setting}: {whole}")
        return _readings(text)[0]  # checked with the whole field
    error: ValidationError | None = None
    for value in _readings(text):
        try:
            return strict(type(node), name, value)
        except ValidationError as refused:
            error = refused
    assert error is not None
    hint = f"; {whole}" if _takes_parts(hints_of(type(node))[name]) else ""
    raise UserError(f"--set {setting}: {wrong_type(type(node), name, text, error)}{hint}")


def _takes_parts(hint: Any) -> bool:
    parts = get_args(hint)
    return any(map(_takes_parts, parts)) if parts else isinstance(hint, type) and issubclass(hint, Component)


def _readings(text: str) -> list[Any]:
    words = {"none": None, "null": None, "true": True, "false": False}
    readings: list[Any] = [words[text.lower()]] if text.lower() in words else []
    with contextlib.suppress(ValueError, SyntaxError):
        readings.append(ast.literal_eval(text))
    return [*readings, text]
