"""What `jaxlab runs --where` takes: `pearson > 0.6 and model = 'ResNet'`, read as Python's grammar has it, run as none.

Names are those of scores, fields of the config (`optimizer.lr`), and of what a run's line has (`state`, `epoch`). A
part of a config is compared by its type's name; of a name that is one of both (`loss`), either may be meant. What a run
has not is never equal, less or more; it is null.
"""

import ast
import io
import operator
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError

Values = Mapping[str, Any]  # by name, dotted
Test = Callable[[Values], bool]
_MOST = 2000  # characters
_WORDS = {
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "IN": "in",
    "IS": "is",
    "NULL": "None",
}  # of SQL and of JSON
_WORDS |= {"null": "None", "none": "None", "true": "True", "false": "False"}


@dataclass(frozen=True)
class Either:
    """Two values of one name: what a run has, and its config's part of that name."""

    own: Any
    part: Any

    def __bool__(self) -> bool:
        return bool(self.own)


class _Missing:
    """The value of what a run has not: equal to null alone, not to what it has not either."""

    def __eq__(self, other: object) -> bool:
        return other is None

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return False


def parsed(expression: str) -> tuple[Test, list[str]]:
    """What tells whether a run is meant, and the names in it. Raises UserError for what is no such expression."""
    if len(expression) > _MOST:
        raise _wrong(expression, f"at most {_MOST} characters")
    try:
        tree = ast.parse(_as_python(expression), mode="eval")
        names: list[str] = []
        read = _read(tree.body, names)
    except _Refused as refused:
        raise _wrong(expression, str(refused)) from None
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError):
        raise _wrong(expression, "a comparison, or several with and, or, not and brackets") from None
    return lambda values: bool(read(values)), names


def check_names(names: list[str], known: Mapping[str, Any] | set[str], where: str) -> None:
    """Raises UserError for a name that no run has, with the nearest ones."""
    for name in names:
        if name not in known:
            ends = [one for one in known if one.rpartition(".")[2] == name]
            near = (
                f"nearest: {', '.join(sorted(ends, key=len)[:3])}"
                if ends
                else nearest(name, sorted(known), "there are")
            )
            raise UserError(f"{where}: no run has {name!r}; {near:.300}")


class _Refused(Exception):
    """What stands where something else was expected."""


def _wrong(expression: str, expected: str) -> UserError:
    return UserError(
        f"--where {expression:.80}: expected {expected}, such as \"pearson > 0.6 and model = 'ResNet'\""
    )


def _as_python(expression: str) -> str:
    """With `=`, `<>`, words of SQL and positions in lists (`augment.0`) as Python writes them."""
    words: list[str] = []
    end = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(" ".join(expression.split())).readline):
        text = token.string
        if token.type == tokenize.NAME:
            text = _WORDS.get(text, text)
        elif token.type == tokenize.NUMBER and text[:1] == "." and text[1:].isdigit() and token.start == end:
            text = f"[{text[1:]}]"
        if text == ">" and words[-1:] == ["<"]:  # `<>`, of which some versions of Python make two
            words.pop()
            text = "<>"
        words.append({"=": "==", "<>": "!="}.get(text, text))
        end = token.end if token.type in (tokenize.NAME, tokenize.NUMBER) else (0, 0)
    return " ".join(words).strip()


def _read(node: ast.expr, names: list[str]) -> Callable[[Values], Any]:
    if isinstance(node, ast.BoolOp):
        parts = [_read(part, names) for part in node.values]
        every = all if isinstance(node.op, ast.And) else any
        return lambda values: every(part(values) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        part = _read(node.operand, names)
        return lambda values: not part(values)
    if isinstance(node, ast.Compare):
        return _comparison(node, names)
    return _operand(node, names)


def _comparison(node: ast.Compare, names: list[str]) -> Callable[[Values], bool]:
    operands = [_operand(part, names) for part in (node.left, *node.comparators)]
    tests = [_TESTS.get(type(one)) for one in node.ops]
    if None in tests:
        raise _Refused("=, !=, <, <=, >, >= or in")

    def holds(values: Values) -> bool:
        found = [operand(values) for operand in operands]
        pairs = zip(tests, found, found[1:], strict=False)
        return all(_tested(test, left, right) for test, left, right in pairs)

    return holds


def _tested(test: Any, left: Any, right: Any) -> bool:
    every = all if test in (operator.ne, _not_in) else any
    return every(_holds(test, one, other) for one in _meant(left) for other in _meant(right))


def _meant(value: Any) -> tuple[Any, ...]:
    return (value.own, value.part) if isinstance(value, Either) else (value,)


def _holds(test: Any, left: Any, right: Any) -> bool:
    try:
        return bool(test(_comparable(left), _comparable(right)))
    except TypeError:  # text and a number, or None
        return False


def _comparable(value: Any) -> Any:
    return value["type"] if isinstance(value, Mapping) and "type" in value else value


def _not_in(left: Any, right: Any) -> bool:
    return left not in right


_TESTS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: _not_in,
}


def _operand(node: ast.expr, names: list[str]) -> Callable[[Values], Any]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
        value = node.value
        return lambda values: value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _operand(node.operand, [])
        if isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int | float):
            return lambda values: -number(values)
    if isinstance(node, ast.List | ast.Tuple):
        parts = [_operand(part, names) for part in node.elts]
        return lambda values: [part(values) for part in parts]
    name = _name(node)
    names.append(name)
    return lambda values: _Missing() if values.get(name) is None else values[name]


def _name(node: ast.expr) -> str:
    """Of a score or field: dotted, with a position in a list (`augment.0`), or an objective's (`object/accuracy`)."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return f"{_name(node.left)}/{_name(node.right)}"
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, int)
    ):
        return f"{_name(node.value)}.{node.slice.value!s}"
    raise _Refused("names of scores and fields, numbers and 'text'")
