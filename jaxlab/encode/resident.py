"""A whole set of features on the devices: the host sends which rows a batch has, the devices gather them."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlab.core.types import Batch, UserError
from jaxlab.data.pipeline import HostBatch
from jaxlab.encode.extract import FeatureSet
from jaxlab.training.sharding import Layout

SHARE = 0.8  # of a device's memory, at most


class Resident:
    """Called with a host batch whose "image" is rows of a FeatureSet, (b,) int32, gives the batch on the devices.

    There "image" is {name: (b, ...)}, and "truth" is of these rows. truth: {objective: (n, ...)}; that of
    others stays the batch's.
    Raises UserError where a device's memory does not hold the set.
    """

    def __init__(self, layout: Layout, features: FeatureSet, truth: Mapping[str, np.ndarray]):
        arrays = {name: kept.array for name, kept in features.kept.items()}
        row_of = {name: k.row_of for name, k in features.kept.items() if k.row_of is not None}
        _check_room(layout, arrays, truth)
        small = {name: rows.astype(np.int32) for name, rows in row_of.items()}
        self.truths = frozenset(truth)
        self._tables = layout.replicate((arrays, small, dict(truth)))
        self._put = layout.put_batch
        self._gather = layout.compile(_gather, batch_at=1, arguments=2, rows_out=True)

    def __call__(self, batch: HostBatch) -> Batch:
        return self._gather(self._tables, self._put(batch))


def _gather(tables: Any, batch: Batch, axis_name: str | None = None) -> dict[str, Any]:
    arrays, row_of, truth = tables
    rows = batch["image"]
    features = {
        name: _take(array, _take(row_of[name], rows) if name in row_of else rows)
        for name, array in arrays.items()
    }
    here: Any = batch["truth"]
    return {
        **batch,
        "truth": here | {name: _take(array, rows) for name, array in truth.items()},
        "image": features,
    }


def _take(array: Array, rows: Array) -> Array:
    return jnp.take(array, rows, axis=0, mode="clip")


def _check_room(layout: Layout, *tables: Mapping[str, np.ndarray]) -> None:
    needed = sum(array.nbytes for table in tables for array in table.values())
    memory = (layout.mesh.local_devices[0].memory_stats() or {}).get("bytes_limit")  # a CPU does not say
    if memory is not None and needed > SHARE * memory:
        raise UserError(
            f"cached features: the set has {needed / 1e9:.1f} GB, each device {memory / 1e9:.1f} GB of memory; "
            'keep less: pool="mean", dtype="bfloat16", fewer layers'
        )
