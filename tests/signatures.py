"""Holds every call in jaxlab and submit to the shapes in its signature, by jaxtyping's import hook and beartype.

Other types are mypy's matter: at run time a test double, or numpy's integer for Python's, is no fault. A function
without a shape in its signature stays as it is: the hook's wrapper would cost time at each call and find nothing.
"""

from collections import abc
from collections.abc import Callable
from functools import partial
from types import FunctionType, UnionType
from typing import Any, Union, get_args, get_origin

import jax
import jaxtyping
import numpy as np
from beartype import beartype
from jaxtyping import install_import_hook


def enforce() -> None:
    """For what is imported from here on."""
    jaxtyping.jaxtyped = partial(
        _where_shapes_are, jaxtyping.jaxtyped
    )  # what the hook decorates everything with
    install_import_hook(["jaxlab", "submit"], "signatures.checked")


def _where_shapes_are(jaxtyped: Any, *, typechecker: Any) -> Callable[[Any], Any]:
    """Functions alone: a dataclass's fields of arrays are made anew by jax.tree.map of whatever it is given."""
    held = jaxtyped(typechecker=typechecker)
    return lambda one: held(one) if isinstance(one, FunctionType) and _has_shapes(one) else one


def _has_shapes(function: FunctionType) -> bool:
    return any(
        isinstance(hint, str) or _shapes(hint) is not Any for hint in function.__annotations__.values()
    )


def checked(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """`function`, whose calls raise where an argument or the result has not the shape that its annotation says."""
    function.__annotations__ = {name: _shapes(hint) for name, hint in function.__annotations__.items()}
    return beartype(function)


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
