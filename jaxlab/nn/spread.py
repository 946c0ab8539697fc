"""Where the arrays of a network lie whose parameters are spread over devices (Rajbhandari et al. 2020, stage 3).

A device keeps its part of each parameter. A backbone's are made whole where they are used, and again on the way back;
what a readout has for many targets stays where it is, and features travel to it. All of it is said to XLA while a step
is traced within `spreading`; elsewhere nothing here does anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from jaxlab.core import tree

DATA, FSDP = "data", "fsdp"
SMALL = 256  # values: a leaf of fewer is on every device, it would cost a message and save nothing
MANY = 1024  # targets from which on a readout's weights stay where they are
_BACKBONE = "backbone."
_MESH: ContextVar[Mesh | None] = ContextVar("mesh", default=None)
_ROWS: ContextVar[int] = ContextVar("rows", default=1)


def mesh_of(devices: Sequence[Any], data: int, fsdp: int) -> Mesh:
    """(data, fsdp) devices. The second axis is made of its prime factors, so that a leaf may be divided by a few of
    them along one dimension, and by the others along another: 39,548 targets by 4 of 8.
    """
    factors = _factors(fsdp)
    names = (DATA, *(f"{FSDP}{k}" for k in range(len(factors))))
    shape = np.array(list(devices)).reshape(data, *factors)
    return Mesh(shape, names, axis_types=(AxisType.Auto,) * len(names))


def leaf_spec(shape: Sequence[int], axes: Mapping[str, int]) -> PartitionSpec:
    """How a leaf is divided: its largest dimension by as many devices as divide it, the next by those that are left.

    A last dimension of `MANY` goes before all others: there, targets lie. What no dimension takes holds copies.
    axes: the mesh's, and how many devices lie along each.
    """
    if prod(shape) < SMALL:
        return PartitionSpec()
    left = {name: size for name, size in axes.items() if name != DATA}
    last = len(shape) - 1
    order = sorted(range(len(shape)), key=lambda k: (k != last or shape[k] < MANY, -shape[k]))
    dealt: dict[int, tuple[str, ...]] = {}
    for k in order:
        dealt[k] = _dividing(shape[k], left)
        left = {name: size for name, size in left.items() if name not in dealt[k]}
    return PartitionSpec(*(dealt[k] or None for k in range(len(shape))))


@contextmanager
def spreading(mesh: Mesh) -> Iterator[None]:
    """While a step is traced whose parameters are spread over the mesh."""
    token = _MESH.set(mesh)
    try:
        yield
    finally:
        _MESH.reset(token)


@contextmanager
def rows_over(devices: int) -> Iterator[None]:
    """While a step is traced whose batch is one array, the rows of which lie on so many devices."""
    token = _ROWS.set(devices)
    try:
        yield
    finally:
        _ROWS.reset(token)


def devices_of_rows() -> int:
    """Over how many devices the rows of an array that is traced now are spread: under pmap, over one."""
    return _ROWS.get()


def made_whole(params: tree.Flat, later: tuple[str, ...] = ()) -> tree.Flat:
    """A backbone's parameters, by path, with all of each on every device; those of readouts as they are.

    later: paths of modules that make theirs whole themselves.
    """
    if _MESH.get() is None:
        return params
    left = tuple(f"{path}." for path in later)
    return {
        path: everywhere(leaf) if path.startswith(_BACKBONE) and not path.startswith(left) else leaf
        for path, leaf in params.items()
    }


def everywhere(leaf: Array) -> Array:
    """A parameter, all of it on every device."""
    mesh = _MESH.get()
    return leaf if mesh is None else _whole(leaf, mesh)


def in_parts(params: tree.Flat) -> tree.Flat:
    """Gradients by path, divided as their parameters are."""
    mesh = _MESH.get()
    if mesh is None:
        return params
    return {path: _laid(leaf, mesh, leaf_spec(leaf.shape, mesh.shape)) for path, leaf in params.items()}


def whole_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose gradient makes parameters whole again rather than keep them so from its pass forward."""
    if _MESH.get() is None:
        return function

    def kept(primitive: Any, *_: Any, **fields: Any) -> bool:
        return primitive.name != "sharding_constraint" or not fields["sharding"].is_fully_replicated

    return jax.checkpoint(function, policy=kept)


def for_targets(features: Float[Array, " b *shape"], targets: int) -> Float[Array, " b *shape"]:
    """Features of all rows that share a readout's weights, where these stay in parts."""
    mesh = _MESH.get()
    return features if mesh is None or targets < MANY else _laid(features, mesh, PartitionSpec(DATA))


def by_target(outputs: Float[Array, "b t"]) -> Float[Array, "b t"]:
    """What a readout says, divided by target where its weights are."""
    mesh = _MESH.get()
    if mesh is None or outputs.shape[-1] < MANY:
        return outputs
    axes = leaf_spec(outputs.shape[-1:], mesh.shape)
    return _laid(outputs, mesh, PartitionSpec(DATA, *axes))


def by_row(outputs: Float[Array, "b t"]) -> Float[Array, "b t"]:
    """Divided by row again, after `by_target`."""
    mesh = _MESH.get()
    if mesh is None or outputs.shape[-1] < MANY:
        return outputs
    if outputs.shape[-1] % (mesh.size // mesh.shape[DATA]):  # by some axes alone: XLA finds no way at once
        outputs = _laid(outputs, mesh, PartitionSpec(DATA))
    return _laid(outputs, mesh, PartitionSpec(mesh.axis_names))


def _whole(leaf: Array, mesh: Mesh) -> Array:
    parts = leaf_spec(leaf.shape, mesh.shape)

    @jax.custom_vjp
    def whole(leaf: Array) -> Array:
        return _laid(leaf, mesh, PartitionSpec())

    # Of itself, the gradient of a constraint is constrained alike: summed on every device, whole.
    whole.defvjp(lambda leaf: (whole(leaf), None), lambda _, gradient: (_laid(gradient, mesh, parts),))
    return whole(leaf)


def _laid(leaf: Array, mesh: Mesh, spec: PartitionSpec) -> Array:
    return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, spec))


def _dividing(size: int, axes: Mapping[str, int]) -> tuple[str, ...]:
    """Those of the axes that divide `size` one after the other."""
    taken = []
    for name, count in axes.items():
        if size % count == 0:
            size //= count
            taken.append(name)
    return tuple(taken)


def _factors(number: int) -> list[int]:
    """Prime ones, the largest first; [1] of 1."""
    found, left, prime = [], number, 2
    while left > 1:
        while left % prime == 0:
            found.append(prime)
            left //= prime
        prime += 1
    return found[::-1] or [1]
