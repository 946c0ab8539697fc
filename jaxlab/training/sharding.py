"""How a step is laid over devices: thin adapters around the one written form of each step.

The state has the same shape under every adapter, never stacked: batches are split, and under "fsdp" what grows with the
parameters is divided, too.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxlab.core.types import UserError
from jaxlab.nn.spread import leaf_spec, mesh_of, rows_over, spreading
from jaxlab.training.hosts.arrays import fetched, own_rows, placed, placed_rows, shared_out, together

Parallel = Literal["auto", "pmap", "data", "single", "fsdp"]
MeshShape = tuple[int, int]  # copies of the parameters, and the devices over which each is spread
AUTO: Parallel = "pmap"  # what "auto" is on several devices; runs that began with another stay with it
AXIS = "batch"
_SPREAD = ("params", "opt_state", "ema")  # fields that grow with the parameters


class Layout:
    """The devices of a run and how batches are split over them.

    parallel: "pmap", "data" (jit over a sharded batch), "fsdp" (that, and parameters, gradients, averages and optimizer
        state in parts) or "single"; "auto" takes the largest number of devices that divides the batch.
    several: what "auto" takes where several devices can share the batch.
    group: rows of a batch that belong on one device: its share of a micro-batch is a multiple of them.
    mesh: of "fsdp", (data, fsdp) devices: the parameters are spread over the second number of them, and each of the
        first is such a set; default (1, all).
    everywhere: over the devices of all processes that train together; else over this one's.
    Raises UserError where the batch does not divide over the devices that an explicit choice asks for, or over the
    processes, and for a mesh of more or fewer devices than there are.
    """

    def __init__(
        self,
        parallel: Parallel,
        batch_size: int,
        accumulate: int = 1,
        group: int = 1,
        mesh: MeshShape | None = None,
        several: Parallel = AUTO,
        everywhere: bool = False,
    ):
        devices = jax.devices() if everywhere else jax.local_devices()
        if batch_size % accumulate:
            raise UserError(f"accumulate={accumulate} must divide batch_size={batch_size}")
        rows = batch_size // accumulate
        if rows % group:
            raise UserError(f"batch_size / accumulate = {rows} must be even: images are mixed in pairs")
        chosen = shared_out(devices, rows, group)
        fitting = len(chosen)
        if parallel in ("pmap", "data", "fsdp") and fitting < len(devices):
            pairs = f"{group} times " if group > 1 else ""
            raise UserError(
                f'parallel="{parallel}": batch_size / accumulate = {rows} must be a multiple of {pairs}'
                f'the {len(devices)} devices (or use parallel="auto", which would use {fitting} of them)'
            )
        if everywhere and jax.process_count() > 1:
            several = _of_processes(parallel, jax.process_count())
        self.several = several
        self.count = 1 if parallel == "single" else fitting
        self.parallel = (several if self.count > 1 else "single") if parallel == "auto" else parallel
        chosen = chosen[: self.count]
        if self.parallel == "fsdp":
            self.mesh = mesh_of(chosen, *_checked(mesh or (1, self.count), self.count))
        else:
            self.mesh = Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self.split = NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names))

    def of(self, state: Any) -> Any:
        """A pytree of where the leaves of a pytree of arrays, or of their shapes, lie."""
        return jax.tree.map_with_path(
            lambda path, leaf: self.leaf(leaf) if _is_spread(path) else self.replicated, state
        )

    def leaf(self, leaf: Any) -> NamedSharding:
        """Where a parameter lies."""
        spread = self.parallel == "fsdp"
        return NamedSharding(self.mesh, leaf_spec(leaf.shape, self.mesh.shape)) if spread else self.replicated

    def part(self, leaf: Any) -> jax.ShapeDtypeStruct:
        """What one device has of it."""
        return jax.ShapeDtypeStruct(self.leaf(leaf).shard_shape(leaf.shape), leaf.dtype)

    def laid(self, leaf: Any) -> jax.Array:
        """A parameter of the host's on the devices, before `put`."""
        return placed(leaf, self.leaf(leaf)) if self.parallel == "fsdp" else jnp.asarray(leaf)

    def made(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Parameters, or what grows with them, as `function` makes them in one compiled call; no device has more than
        its part.
        """
        if self.parallel != "fsdp":
            return jax.jit(function)(*arguments)
        shapes = jax.eval_shape(function, *arguments)
        return self._together(jax.jit(function, out_shardings=jax.tree.map(self.leaf, shapes)))(*arguments)

    def put(self, state: Any) -> Any:
        """A pytree on the devices, each leaf a copy of its own: donating one takes nothing else with it."""
        host = jax.tree.map(lambda leaf: np.array(leaf, copy=True), fetched(state))
        return placed(host, self.of(host))

    def replicate(self, tables: Any) -> Any:
        """A pytree on every device."""
        return placed(tables, jax.tree.map(lambda _: self.replicated, tables))

    def rows(self, batch_size: int) -> slice:
        """Those rows of a batch that `put_batch` takes: this process's part."""
        return own_rows(batch_size, self.split)

    def put_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A host batch, this process's `rows` of it, split over devices; under pmap with a leading device axis."""
        if self.parallel == "pmap":
            batch = jax.tree.map(lambda x: x.reshape(self.count, -1, *x.shape[1:]), batch)
        return placed_rows(batch, self.split)

    def compile(
        self,
        step: Callable,
        *,
        batch_at: int,
        arguments: int,
        rows_out: bool = False,
        donate: int | None = None,
    ):
        """`step` compiled for this layout.

        batch_at: which of its `arguments` is the batch. rows_out: it returns one row a sample (in order).
        donate: the argument whose memory the result takes over.
        """
        donated = () if donate is None else (donate,)
        if self.parallel == "pmap":
            axes = tuple(0 if k == batch_at else None for k in range(arguments))
            step = partial(step, axis_name=AXIS)
            return jax.pmap(
                step, AXIS, in_axes=axes, out_axes=0 if rows_out else None, donate_argnums=donated,
                devices=list(self.mesh.devices),
            )  # fmt: skip
        step = self._over(step)
        if self.parallel == "fsdp":
            return self._together(jax.jit(self._spread(step, rows_out), donate_argnums=donated))
        shardings = tuple(self.split if k == batch_at else self.replicated for k in range(arguments))
        out = self.split if rows_out else self.replicated
        return self._together(
            jax.jit(step, in_shardings=shardings, out_shardings=out, donate_argnums=donated)
        )

    def _together(self, compiled: Any) -> Any:
        """What is compiled, for the devices of one process or several."""
        return compiled if self.replicated.is_fully_addressable else together(compiled)

    def _over(self, step: Callable) -> Callable:
        """`step`, traced for a batch whose rows lie on all of the devices."""

        def over(*arguments: Any) -> Any:
            with rows_over(self.count):
                return step(*arguments)

        return _named(over, step)

    def _spread(self, step: Callable, rows_out: bool) -> Callable:
        """`step` traced for arguments that lie as `put` and `put_batch` lay them; its results lie so, too."""

        def laid(*arguments: Any) -> Any:
            with spreading(self.mesh):
                found = step(*arguments)
            return jax.lax.with_sharding_constraint(found, self.split if rows_out else self.of(found))

        return _named(laid, step)


def _named(function: Callable, step: Callable) -> Callable:
    """`function` by the name of `step`, which a compiled program has in traces and messages."""
    function.__name__ = getattr(getattr(step, "func", step), "__name__", function.__name__)
    return function


def _checked(mesh: MeshShape, devices: int) -> MeshShape:
    if mesh[0] * mesh[1] != devices:
        raise UserError(
            f"training.mesh: expected (data, fsdp) whose product is the number of devices, {devices}, found {mesh}, "
            f"{mesh[0] * mesh[1]} devices; (1, {devices}) spreads the parameters over all of them"
        )
    return mesh


def _of_processes(parallel: Parallel, count: int) -> Parallel:
    """What "auto" takes where several processes train. Raises UserError for what is of one."""
    if parallel in ("pmap", "single"):
        raise UserError(
            f'parallel="{parallel}": is of one process, and {count} train together; expected "auto", "data" or "fsdp"'
        )
    return "data"


def _is_spread(path: tuple[Any, ...]) -> bool:
    return any(getattr(entry, "name", None) in _SPREAD for entry in path)
