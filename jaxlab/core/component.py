"""What configs are made of: frozen dataclasses whose fields are checked against their type hints."""

import dataclasses
import functools
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from jaxlab.core.mistyped import check_fields
from jaxlab.core.registry import DefinedClass, check_name, defined
from jaxlab.core.types import UserError

_LOCATION = "where something lies: never part of what an experiment is"
Location = Annotated[str, _LOCATION]


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
        for name in hints_of(type(self)):
            checked = _checked(type(self), name, getattr(self, name))
            object.__setattr__(self, name, checked)
        self.check()

    @property
    def extras(self) -> tuple[str, ...]:
        """Extras of jaxlab's package without which it does not work, as it is set; a bundle brings them."""
        return ()

    def check(self) -> None:
        """Raise UserError where fields contradict one another, with the expected and the actual value."""

    def overridden(self, settings: Iterable[str]) -> Self:
        """With the settings of a command line, as `override` takes them."""
        from jaxlab.core.overrides import override  # which has components to make anew

        return override(self, settings)


def hints_of(cls: type[Any]) -> dict[str, Any]:
    """{field: its hint}."""
    key: Any = cls  # mypy takes a component's class for its instance, whose hash is the dataclass's
    return _read_hints(key)


@functools.cache
def _read_hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@functools.cache
def _adapter(cls: Any, name: str) -> TypeAdapter[Any]:
    hint = hints_of(cls)[name]
    if isinstance(hint, type) and issubclass(hint, Component):
        return TypeAdapter(hint)
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _checked(cls: type[Component], name: str, value: Any) -> Any:
    try:
        return strict(cls, name, value)
    except ValidationError as error:
        raise UserError(wrong_type(cls, name, value, error)) from None


def strict(cls: Any, name: str, value: Any) -> Any:
    """Nothing is converted but lists to tuples and whole numbers to floats: `true` is not the number 1."""
    value = tuple(value) if isinstance(value, list) else value
    return _adapter(cls, name).validate_python(value, strict=True)


def wrong_type(cls: type[Component], name: str, value: Any, error: ValidationError) -> str:
    """What a field refuses: what it expects, what it was given, and pydantic's reasons."""
    reasons = "; ".join(dict.fromkeys(detail["msg"] for detail in error.errors()))
    return f"{cls.__name__}.{name}: expected {readable(hints_of(cls)[name])}, found {value!r} ({reasons})"


def readable(hint: Any) -> str:
    """A type hint without the names of modules."""
    if get_origin(hint) is Annotated:
        return readable(get_args(hint)[0])
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    text = re.sub(r"(?<![\w.'])([A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", str(hint))  # modules' names
    return text.replace(repr(_LOCATION), "a path").replace("NoneType", "None")


def is_location(hint: Any) -> bool:
    """Whether it is that of a Location, or of several."""
    return _LOCATION in getattr(hint, "__metadata__", ()) or any(is_location(part) for part in get_args(hint))
