"""Arrays that lie on the devices of several processes: put there, brought back, and computed with."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from jaxlab.core.types import UserError
from jaxlab.training.hosts.join import current


def shared_out(devices: Sequence[Any], rows: int, group: int = 1) -> list[Any]:
    """As many of the devices as `rows` can be divided among in `group`s, of each process as many; process by process.

    Raises UserError where there are fewer rows than one a process, or they do not divide.
    """
    of: dict[int, list[Any]] = {}
    for device in devices:
        of.setdefault(device.process_index, []).append(device)
    if len({len(own) for own in of.values()}) > 1:
        counts = ", ".join(f"process {k} {len(own)}" for k, own in sorted(of.items()))
        raise UserError(f"devices: expected as many of each process, found {counts}")
    for each in range(len(of[min(of)]), 0, -1):
        if rows % (each * len(of) * group) == 0:
            return [device for _, own in sorted(of.items()) for device in own[:each]]
    pairs = f"{group} times " if group > 1 else ""
    raise UserError(
        f"batch_size / accumulate = {rows}: expected a multiple of {pairs}the {len(of)} processes, each of which takes "
        "its part of a batch"
    )


def own_rows(count: int, sharding: NamedSharding) -> slice:
    """Those of so many rows, split over devices, that lie on this process's."""
    parts = sharding.addressable_devices_indices_map((count,)).values()
    bounds = [part[0].indices(count) for part in parts if part is not None]
    return slice(min(first for first, _, _ in bounds), max(last for _, last, _ in bounds))


def placed(values: Any, shardings: Any) -> Any:
    """A pytree of the host's, which all processes have alike, on the devices. shardings: of each leaf."""
    if all(sharding.is_fully_addressable for sharding in jax.tree.leaves(shardings)):
        return jax.device_put(values, shardings)

    def one(value: Any, sharding: NamedSharding) -> jax.Array:
        host = np.asarray(value)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: np.array(host[index]))

    return jax.tree.map(one, values, shardings)


def placed_rows(values: Any, sharding: NamedSharding) -> Any:
    """A pytree of rows split over devices, of which this process has its own."""
    if sharding.is_fully_addressable:
        return jax.device_put(values, sharding)
    return jax.tree.map(lambda own: jax.make_array_from_process_local_data(sharding, np.asarray(own)), values)


def fetched(values: Any) -> Any:
    """A pytree on the host, all of it; every process asks for it."""
    if all(_is_here(leaf) for leaf in jax.tree.leaves(values)):
        return jax.device_get(values)
    from jax.experimental.multihost_utils import process_allgather

    return jax.tree.map(  # leaf by leaf: all of them may not fit on one device
        lambda leaf: np.asarray(leaf if _is_here(leaf) else process_allgather(leaf, tiled=True)), values
    )


def _is_here(leaf: Any) -> bool:
    return not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated


def together(compiled: Any) -> Callable[..., Any]:
    """A jitted function that waits, where it is compiled for arguments of new shapes, until all processes have done so.

    Else the first of them would meet the others in a collective operation, which gives up after half a minute.
    """
    ready: dict[Any, Any] = {}

    def call(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        shapes = structure, tuple(map(np.shape, leaves))
        if shapes not in ready:
            ready[shapes] = compiled.lower(*arguments).compile()
            current().meet("compiling")
        return ready[shapes](*arguments)

    return call
