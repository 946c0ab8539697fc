"""How a step is laid over devices: thin adapters around the one written form of each step.

The state has the same shape under every adapter (replicated, never stacked); only batches are split.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlab.core.types import UserError

Parallel = Literal["auto", "pmap", "data", "single"]
AXIS = "batch"


class Layout:
    """The devices of a run and how batches are split over them.

    parallel: "pmap", "data" (jit over a sharded batch) or "single"; "auto" takes pmap where several devices
        can share the batch, on the largest number of devices that divides it.
    group: rows of a batch that belong on one device: its share of a micro-batch is a multiple of them.
    Raises UserError where the batch does not divide over the devices that an explicit choice asks for.
    """

    def __init__(self, parallel: Parallel, batch_size: int, accumulate: int = 1, group: int = 1):
        devices = jax.local_devices()
        if batch_size % accumulate:
            raise UserError(f"accumulate={accumulate} must divide batch_size={batch_size}")
        rows = batch_size // accumulate
        if rows % group:
            raise UserError(f"batch_size / accumulate = {rows} must be even: images are mixed in pairs")
        fitting = max(k for k in range(1, len(devices) + 1) if rows % (k * group) == 0)
        if parallel in ("pmap", "data") and fitting < len(devices):
            pairs = f"{group} times " if group > 1 else ""
            raise UserError(
                f'parallel="{parallel}": batch_size / accumulate = {rows} must be a multiple of {pairs}'
                f'the {len(devices)} devices (or use parallel="auto", which would use {fitting} of them)'
            )
        self.count = 1 if parallel == "single" else fitting
        self.parallel = ("pmap" if self.count > 1 else "single") if parallel == "auto" else parallel
        self.mesh = Mesh(np.array(devices[: self.count]), (AXIS,))
        self.replicated = NamedSharding(self.mesh, PartitionSpec())
        self.split = NamedSharding(self.mesh, PartitionSpec(AXIS))

    def put(self, state: Any) -> Any:
        """A pytree on every device, each leaf a copy of its own: donating one takes nothing else with it."""
        host = jax.tree.map(lambda leaf: np.array(leaf, copy=True), jax.device_get(state))
        return jax.device_put(host, self.replicated)

    def put_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A host batch split over devices; under pmap with a leading device axis."""
        if self.parallel == "pmap":
            batch = jax.tree.map(lambda x: x.reshape(self.count, -1, *x.shape[1:]), batch)
        return jax.device_put(batch, self.split)

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
        shardings = tuple(self.split if k == batch_at else self.replicated for k in range(arguments))
        out = self.split if rows_out else self.replicated
        return jax.jit(step, in_shardings=shardings, out_shardings=out, donate_argnums=donated)
