"""Experiments as Python: components with typed fields, overrides by name, JSON with stable type names."""

import ast
import contextlib
import dataclasses
import functools
import hashlib
import json
import re
import runpy
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from jaxlab.core.beside import importable
from jaxlab.core.mistyped import check_fields, explained_import, explained_name, nearest
from jaxlab.core.registry import DefinedClass, check_name, defined
from jaxlab.core.types import UserError

_LOCATION = "where something lies: never part of what an experiment is"
Location = Annotated[str, _LOCATION]
C = TypeVar("C", bound="Component")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """Base of every part of an experiment: a frozen dataclass whose fields are checked against their hints.

    A subclass is decorated `@dataclass(frozen=True, kw_only=True)`; rules across fields go into `check`.
    """

    types: ClassVar[dict[str, type["Component"]]] = {}
    definitions: ClassVar[dict[str, DefinedClass]] = {}
    afterwards: ClassVar[bool] = False  # says how a trained network is used: no part of what an experiment is
    undecayed: ClassVar[
        tuple[str, ...]
    ] = ()  # last names of parameters of its network that weight decay spares

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        definition = defined(cls)
        check_name(definition, Component.definitions.get(cls.__name__))
        Component.definitions[cls.__name__] = definition
        Component.types[cls.__name__] = cls

    def __new__(cls, *values: Any, **fields: Any) -> Self:
        check_fields(cls, values, fields)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in _hints(type(self)):
            checked = _checked(type(self), name, getattr(self, name))
            object.__setattr__(self, name, checked)
        self.check()

    def check(self) -> None:
        """Raise UserError where fields contradict one another, with the expected and the actual value."""

    def overridden(self, settings: Iterable[str]) -> Self:
        """With the settings of a command line, as `override` takes them."""
        return override(self, settings)


def _hints(cls: type[Any]) -> dict[str, Any]:
    """{field: its hint}."""
    key: Any = cls  # mypy takes a component's class for its instance, whose hash is the dataclass's
    return _read_hints(key)


@functools.cache
def _read_hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@functools.cache
def _adapter(cls: Any, name: str) -> TypeAdapter[Any]:
    hint = _hints(cls)[name]
    if isinstance(hint, type) and issubclass(hint, Component):
        return TypeAdapter(hint)
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _checked(cls: type[Component], name: str, value: Any) -> Any:
    try:
        return _strict(cls, name, value)
    except ValidationError as error:
        raise UserError(_wrong_type(cls, name, value, error)) from None


def _strict(cls: Any, name: str, value: Any) -> Any:
    """Nothing is converted but lists to tuples and whole numbers to floats: `true` is not the number 1."""
    value = tuple(value) if isinstance(value, list) else value
    return _adapter(cls, name).validate_python(value, strict=True)


def _wrong_type(cls: type[Component], name: str, value: Any, error: ValidationError) -> str:
    reasons = "; ".join(dict.fromkeys(detail["msg"] for detail in error.errors()))
    return f"{cls.__name__}.{name}: expected {_readable(_hints(cls)[name])}, found {value!r} ({reasons})"


def _readable(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        return _readable(get_args(hint)[0])
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    text = re.sub(r"(?<![\w.'])([A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", str(hint))  # modules' names
    return text.replace(repr(_LOCATION), "a path").replace("NoneType", "None")


_PLAIN = (
    UserError,
    TypeError,
    SyntaxError,
    AttributeError,
)  # their messages say it all

# -- files ---------------------------------------------------------------------------------------------------


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


# -- overrides -----------------------------------------------------------------------------------------------


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
    hints = _hints(type(node))
    if head not in hints:
        before = setting.partition("=")[0].split(".")[: -len(rest)]
        inner = [
            ".".join([*before, field, head]) for field in hints if _has_field(getattr(node, field), head)
        ]
        known = f"nearest: {', '.join(inner)}" if inner else nearest(head, hints)
        raise UserError(f"--set {setting}: {type(node).__name__} has no field {head!r}; {known}")
    return getattr(node, head)


def _has_field(value: Any, name: str) -> bool:
    return isinstance(value, Component) and name in _hints(type(value))


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
            return _strict(type(node), name, value)
        except ValidationError as refused:
            error = refused
    assert error is not None
    hint = f"; {whole}" if _takes_parts(_hints(type(node))[name]) else ""
    raise UserError(f"--set {setting}: {_wrong_type(type(node), name, text, error)}{hint}")


def _takes_parts(hint: Any) -> bool:
    parts = get_args(hint)
    return any(map(_takes_parts, parts)) if parts else isinstance(hint, type) and issubclass(hint, Component)


def _readings(text: str) -> list[Any]:
    words = {"none": None, "null": None, "true": True, "false": False}
    readings: list[Any] = [words[text.lower()]] if text.lower() in words else []
    with contextlib.suppress(ValueError, SyntaxError):
        readings.append(ast.literal_eval(text))
    return [*readings, text]


# -- JSON ----------------------------------------------------------------------------------------------------


LATER = {
    "later": True
}  # metadata of a field that earlier versions did not know, so that its default changes no hash

DERIVED = {
    "derived": True
}  # of a field that follows from what a run holds: no part of what a config is, or of its JSON


def to_json(value: Any) -> Any:
    """Components as `{"type": name, field: value}`, tuples as lists; a field that came LATER only where it is set."""
    if isinstance(value, Component):
        fields = {name: to_json(item) for name, _, item in _written(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return value


def _written(config: Component) -> Iterator[tuple[str, Any, Any]]:
    """(name, hint, value) of the fields that JSON has."""
    hints = _hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        known = field.metadata == LATER and value == _default(field)
        if not known and field.metadata != DERIVED:
            yield field.name, hints[field.name], value


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def from_json(data: Any) -> Any:
    """The inverse of `to_json`. Raises UserError for a type or field that this version does not know."""
    if isinstance(data, list):
        return tuple(from_json(item) for item in data)
    if not isinstance(data, Mapping):
        return data
    if "type" not in data:
        return {name: from_json(item) for name, item in data.items()}
    cls = Component.types.get(data["type"]) if isinstance(data["type"], str) else None
    if cls is None:
        raise UserError(
            f"config names a component {data['type']!r} that is not defined; "
            f"{nearest(str(data['type']), Component.types)}"
        )
    fields = {name: from_json(item) for name, item in data.items() if name != "type"}
    if unknown := fields.keys() - _hints(cls).keys():
        raise UserError(
            f"config: {cls.__name__} has no field {sorted(unknown)}; {nearest(min(unknown), _hints(cls))}"
        )
    return cls(**fields)


def identity(value: Any) -> Any:
    """The JSON of what an experiment *is*: as `to_json`, but of a location only whether it is set.

    Parts that say how it is used afterwards are left out.
    """
    if isinstance(value, Component):
        fields = {}
        for name, hint, item in _written(value):
            if isinstance(item, Component) and item.afterwards:
                continue
            fields[name] = item is not None if _is_location(hint) else identity(item)
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {name: identity(item) for name, item in value.items()}
    return [identity(item) for item in value] if isinstance(value, tuple) else value


def components(value: Any) -> Iterator[Component]:
    """`value`, where it is a component, and all components within it."""
    if isinstance(value, Component):
        yield value
        for name in _hints(type(value)):
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
        hints = _hints(type(value)).items()
        inside = [(name, getattr(value, name), _is_location(hint)) for name, hint in hints]
    else:
        return {}
    found: dict[str, str] = {}
    for name, item, is_location in inside:
        where = f"{path}.{name}" if path else name
        if not is_location:
            found |= locations(item, where)
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
    for name, hint in _hints(type(value)).items():
        item = getattr(value, name)
        if _is_location(hint):
            new = tuple(map(_absolute, item)) if isinstance(item, tuple) else _absolute(item)
        else:
            new = _anchored(item)
        if new != item:
            changed[name] = new
    return dataclasses.replace(value, **changed) if changed else value


def _absolute(location: Any) -> Any:
    """A hub's id, and a path to nothing, stay as they are."""
    return (
        str(Path(location).absolute()) if isinstance(location, str) and Path(location).exists() else location
    )


def _is_location(hint: Any) -> bool:
    return _LOCATION in getattr(hint, "__metadata__", ()) or any(
        _is_location(part) for part in get_args(hint)
    )


def short_hash(config: Component) -> str:
    """Eight hexadecimal digits of the SHA-256 of the experiment's identity."""
    text = json.dumps(identity(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """`field: old -> new` for each place where two identities differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        found = [differences(old.get(n), new.get(n), f"{path}.{n}" if path else n) for n in names]
        if _named_parts(old) and old.keys() == new.keys() and list(old) != list(new):  # the first counts most
            found.append([f"{path}: order {', '.join(old)} -> {', '.join(new)}"])
        return [line for lines in found for line in lines]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{path}.{k}")]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]


def _named_parts(data: Mapping[str, Any]) -> bool:
    """Whether this is the JSON of a mapping of components."""
    return "type" not in data and all(isinstance(part, dict) and "type" in part for part in data.values())
