"""Holds every call in jaxlab and submit to the shapes in its signature, by jaxtyping's import hook and beartype.

Other types are mypy's matter: at run time a test double, or numpy's integer for Python's, is no fault.
"""

from collections import abc
from collections.abc import Callable
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jax
import numpy as np
from beartype import beartype
from jaxtyping import install_import_hook


def enforce() -> None:
    """For what is imported from here on."""
    install_import_hook(["jaxlab", "submit"], "signatures.checked")


def checked(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """`function`, whose calls raise where an argument or the result has not the shape that its annotation says.

    A dataclass's fields are left out: those of arrays are made anew by jax.tree.map of whatever it is given: shapes,
    shardings, host arrays.
    """
    function.__annotations__ = {name: _shapes(hint) for name, hint in function.__annotations__.items()}
    enforced = beartype(function)
    if function.__name__ != "__init__":
        return enforced
    return lambda self, *args, **options: is_dataclass(self) or enforced(self, *args, **options)


def _shapes(hint: Any) -> Any:
    """`hint` with its shapes, on the device or on the host alike, and Any for what has none."""
    if hasattr(hint, "dim_str"):
        array = hint.dtype[jax.Array | np.ndarray, hint.dim_str]
        return array | float | np.generic if not hint.dim_str.strip() else array
    origin = get_origin(hint)
    parts = tuple(_shapes(part) for part in get_args(hint) if part is not Ellipsis)
    if origin is abc.Callable or all(part is Any for part in parts):
        return Any
    if Ellipsis in get_args(hint):
        parts = (*parts, Ellipsis)
    return Union[parts] if origin in (Union, UnionType) else origin[parts]  # noqa: UP007  parts are a tuple
