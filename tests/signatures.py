"""Holds every call in jaxlab and submit to its signature: types by beartype, shapes by jaxtyping (see conftest)."""

from collections.abc import Callable
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook
from pydantic import TypeAdapter

# An int may stand where a float is asked for, as mypy has it (PEP 484's numeric tower).
_BEARTYPE = beartype(conf=BeartypeConf(is_pep484_tower=True))


def enforce() -> None:
    """For what is imported from here on."""
    install_import_hook(["jaxlab", "submit"], "signatures.checked")


def checked(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """`function`, whose calls raise where an argument or the result is not what its annotation says.

    A dataclass's fields are left out: components check theirs, with a UserError, and those of arrays are made anew by
    jax.tree.map of whatever it is given: shapes, shardings, host arrays.
    """
    function.__annotations__ = {name: _checkable(hint) for name, hint in function.__annotations__.items()}
    enforced = _BEARTYPE(function)
    if function.__name__ != "__init__":
        return enforced
    return lambda self, *args, **options: is_dataclass(self) or enforced(self, *args, **options)


def _checkable(hint: Any) -> Any:
    """`hint` without what beartype cannot check, which mypy does.

    `Self` means something to it where a whole class is decorated, and jaxtyping decorates functions; a protocol's
    isinstance evaluates its properties; and it takes pydantic's TypeAdapter for no generic.
    """
    if hint is Self or (
        getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False)
    ):
        return Any
    origin, parts = get_origin(hint), get_args(hint)
    if origin is TypeAdapter:
        return TypeAdapter
    checkable = tuple(_checkable(part) for part in parts)
    if checkable == parts:
        return hint
    return Union[checkable] if origin in (Union, UnionType) else origin[checkable]  # noqa: UP007  parts are a tuple
