"""Settings whose value may be a part, `optimizer.schedule=Constant()`: what an ablation switches off."""

import ast
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlab.core.component import hints_of
from jaxlab.core.config import Component, override
from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError


def switched(experiment: Component, settings: Iterable[str]) -> Any:
    """`experiment` with each `field.field=value`, as `--set` takes them, or with a part's call as the value.

    Raises UserError for an unknown field or part, naming the nearest, and for a value that the field does not take.
    """
    plain = []
    for setting in settings:
        field, equals, text = setting.partition("=")
        call = _call(text) if equals else None
        if call is None:
            plain.append(setting)
            continue
        try:
            experiment = _assigned(experiment, field.split("."), _value(call))
        except UserError as error:
            raise UserError(f"{setting}: {error}") from None
    try:
        return override(experiment, plain)
    except UserError as error:
        raise UserError(str(error).removeprefix("--set ")) from None


def text_of(value: Any) -> str:
    """A value as `switched` reads it."""
    if isinstance(value, Component):
        fields = (f"{one.name}={text_of(getattr(value, one.name))}" for one in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _call(text: str) -> ast.expr | None:
    """The expression, where it makes a part somewhere; None for what `--set` reads."""
    try:
        found = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return found if any(isinstance(node, ast.Call) for node in ast.walk(found)) else None


def _value(node: ast.expr) -> Any:
    """Names of parts with fields by name, tuples, and literals: nothing else is run."""
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(item) for item in node.elts)
    if not isinstance(node, ast.Call):
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError):
            raise UserError(
                f"expected numbers, words in quotes and parts, found {ast.unparse(node)!r:.60}"
            ) from None
    name = ast.unparse(node.func)
    if name not in Component.types:
        raise UserError(f"there is no part {name!r:.60}; {nearest(name, Component.types)}")
    if node.args or any(one.arg is None for one in node.keywords):
        raise UserError(f"{name}: expected its fields by name, as {name}(field=value)")
    fields = {str(one.arg): _value(one.value) for one in node.keywords}
    try:
        return Component.types[name](**fields)
    except UserError:
        raise
    except TypeError as error:  # a field without a default is left out
        raise UserError(str(error).replace(".__init__()", "")) from None


def _assigned(node: Any, path: list[str], value: Any) -> Any:
    """`node` with the value at the path, which is checked as every field is."""
    if not path:
        return value
    head, *rest = path
    if isinstance(node, tuple) and head in map(str, range(len(node))):
        return tuple(_assigned(one, rest, value) if str(at) == head else one for at, one in enumerate(node))
    if isinstance(node, Mapping) and head in node:
        return {**node, head: _assigned(node[head], rest, value)}
    if isinstance(node, Component) and head in hints_of(type(node)):
        return dataclasses.replace(node, **{head: _assigned(getattr(node, head), rest, value)})
    raise UserError(f"there is no {head!r} in {type(node).__name__}; {_known(node, head)}")


def _known(node: Any, head: str) -> str:
    if isinstance(node, tuple):
        return f"it has {len(node)} parts"
    names = node if isinstance(node, Mapping) else hints_of(type(node)) if isinstance(node, Component) else ()
    return nearest(head, names)
