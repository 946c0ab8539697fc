"""Blocks that keep their input alone for the pass back, and compute what is between once more (Chen et al. 2016)."""

import functools
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from jaxlab.core.types import Mode
from jaxlab.nn.later import known, later
from jaxlab.nn.plain import running, running_mode
from jaxlab.nn.spread import everywhere


class _Given(NamedTuple):
    """What a block is called with, but for the parameters and the arrays that gradients are taken of.

    others: arrays of the block and of its arguments. modes: what is traced of the modes that it sees.
    """

    others: tuple[Any, ...]
    modes: tuple[dict[str, Any], ...]


def blocks_of(network: nnx.Module) -> tuple[str, ...]:
    """Paths of the modules in lists, the outermost ones, that consist of modules: blocks of any family, or a user's."""
    found: list[tuple[Any, ...]] = []
    for path, module in nnx.iter_graph(network):
        numbers = [k for k, key in enumerate(path) if isinstance(key, int)]
        if numbers == [len(path) - 1] and isinstance(module, nnx.Module) and _consists_of_modules(module):
            found.append(path)
    return tuple(sorted(".".join(map(str, path)) for path in found))


def make_again(block: nnx.Module) -> None:
    """From now on, calls of `block` keep their arguments alone."""
    object.__setattr__(block, "__class__", _again(type(block)))


@functools.cache
def _again(cls: type[Any]) -> type[Any]:
    body = {"__module__": cls.__module__, "__slots__": (), "__call__": functools.partialmethod(_called, cls)}
    return types.new_class(cls.__name__, (cls,), exec_body=lambda space: space.update(body))


def _called(block: Any, cls: type[Any], *arguments: Any, **named: Any) -> Any:
    """cls.__call__, with the statistics that it moves."""
    object.__setattr__(block, "__class__", cls)
    parts: Any = nnx.split(block, nnx.Param, nnx.BatchStat, ...)
    graphdef, params, stats, rest = parts
    leaves, form = jax.tree.flatten((arguments, named), is_leaf=lambda one: isinstance(one, Mode))
    modes = (running_mode(), *(one for one in leaves if isinstance(one, Mode)))
    xs = [one for one in leaves if _is_differentiable(one)]
    static = [None if _is_array(one) or isinstance(one, Mode) else one for one in leaves]
    fixed = tuple(one for one in leaves if _is_array(one) and not _is_differentiable(one))

    def call(params: Any, xs: list[Array], given: _Given) -> tuple[Any, Any]:
        stats, rest, *fixed = given.others
        module = nnx.merge(graphdef, jax.tree.map(everywhere, params), stats, rest, copy=True)
        context, *seen = (replace(mode, **traced) for mode, traced in zip(modes, given.modes, strict=True))
        own, others, told = iter(xs), iter(fixed), iter(seen)
        seen_again = [
            next(told) if isinstance(one, Mode)
            else next(own) if _is_differentiable(one)
            else next(others) if _is_array(one)
            else left
            for one, left in zip(leaves, static, strict=True)
        ]  # fmt: skip
        arguments, named = jax.tree.unflatten(form, seen_again)
        with running(context):
            found = cls.__call__(module, *arguments, **named)
        return found, jax.lax.stop_gradient(nnx.state(module, nnx.BatchStat))

    given = _Given((stats, rest, *fixed), tuple(_traced(mode) for mode in modes))
    found, after = _computed_again(call)(params, xs, given)
    nnx.update(block, after)
    return found


def _computed_again(call: Callable[..., Any]) -> Callable[..., Any]:
    """call(params, xs, given), of which the pass back knows what it was called with."""
    # Not jax.checkpoint, whose two passes XLA's CPU backend makes one of.
    kept: Any = jax.custom_vjp(call)

    def back(arguments: tuple[Any, Any, Any], gradient: Any) -> tuple[Any, Any, None]:
        params, xs, given = arguments
        there = known(jax.tree.leaves(gradient[0])[0])
        every = there.all()
        params = jax.tree.map(lambda leaf: jnp.where(every, leaf, jnp.zeros((), leaf.dtype)), params)
        xs = [later(x, there) for x in xs]
        (_, pull) = jax.vjp(lambda params, xs: call(params, xs, given), params, xs)
        return (*pull(gradient), None)

    kept.defvjp(lambda *arguments: (call(*arguments), arguments), back)
    return kept


def _traced(mode: Mode) -> dict[str, Any]:
    return {name: getattr(mode, name) for name in ("row_keys", "momentum", "epoch")}


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array)


def _is_differentiable(value: Any) -> bool:
    return _is_array(value) and jnp.issubdtype(value.dtype, jnp.inexact)


def _consists_of_modules(module: nnx.Module) -> bool:
    return sum(isinstance(part, nnx.Module) for _, part in nnx.iter_graph(module)) > 1
