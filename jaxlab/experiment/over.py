"""Spaces as the command line has them: `optimizer.lr=log(1e-5,1e-2)`, `model.depth=18,34`."""

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlab.core.config import Component, read_at, value_at
from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError
from jaxlab.experiment.spaces import Choice, Int, Log, Space, Uniform
from jaxlab.experiment.study import innermost

_RANGES: Mapping[str, type[Any]] = {"log": Log, "uniform": Uniform, "int": Int}
_OPEN, _CLOSE = "([{", ")]}"


def spaces(experiment: Component, over: Iterable[str]) -> dict[str, Space]:
    """{field: space} of each `FIELD=SPACE`. The fields are those of the experiment, of a study of its innermost one.

    Raises UserError for an unknown field (naming the nearest), a space that is none, or a value the field refuses.
    """
    inner, found = innermost(experiment), {}
    for one in over:
        field, equals, text = one.partition("=")
        if not equals or not text.strip():
            raise UserError(
                f"--over {one}: expected FIELD=SPACE, as optimizer.lr=log(1e-5,1e-2) or model.depth=18,34"
            )
        if field in found:
            raise UserError(f"--over {one}: expected each field once, found {field} twice")
        value_at(inner, field, f"--over {one}")
        found[field] = _space(inner, field, text.strip(), f"--over {one}")
    return found


def _space(experiment: Component, field: str, text: str, said: str) -> Space:
    called = re.fullmatch(r"([A-Za-z]\w*)\((.*)\)", text, re.S)
    if called is not None and called[1].lower() in _RANGES:
        return _range(called[1].lower(), called[2], said)
    if called is not None:
        known = nearest(called[1], _RANGES, "there are")
        raise UserError(
            f"{said}: there is no space {called[1]}(...); {known}; or values with commas between them"
        )
    return Choice(values=[read_at(experiment, field, item, said) for item in _items(text)])


def _range(name: str, text: str, said: str) -> Space:
    usage = f"{name}(low, high), or {name}(low, high, count) of a grid"
    try:
        numbers = [ast.literal_eval(item) for item in _items(text)]
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise UserError(f"{said}: expected {usage}, found {name}({text})") from None
    if not 2 <= len(numbers) <= 3:
        raise UserError(f"{said}: expected {usage}, found {name}({text})")
    try:
        return _RANGES[name](*numbers)
    except UserError as refused:
        raise UserError(f"{said}: {refused}") from None


def _items(text: str) -> list[str]:
    """What commas outside of brackets and quotes divide."""
    items, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in _OPEN) - (letter in _CLOSE) if not quote else 0
        if letter == "," and depth == 0 and not quote:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items]
