"""Parameters as a flat dict: dotted path -> array. One naming for rules, checkpoints, digests and reports."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

Flat = dict[str, Any]
Shape = tuple[int, ...] | Mapping[str, Any]  # by name: tuples of float32, or jax.ShapeDtypeStruct


def flatten(state: nnx.State) -> Flat:
    """`{"layers.0.conv.kernel": array}`, sorted by path."""
    leaves = nnx.traversals.flatten_mapping(nnx.to_pure_dict(state))
    return dict(sorted((".".join(map(str, path)), leaf) for path, leaf in leaves.items()))


def unflatten(flat: Mapping[str, Any], template: nnx.State) -> nnx.State:
    """The nnx.State shaped as `template` (values or ShapeDtypeStructs) that holds `flat`'s arrays."""
    return nnx.from_flat_state(
        [
            (path, variable.replace(flat[".".join(map(str, path))]))
            for path, variable in nnx.to_flat_state(template)
        ]
    )


def count(flat: Mapping[str, Any]) -> int:
    """Number of values in all leaves."""
    return sum(int(np.prod(leaf.shape)) for leaf in flat.values())


def digest(flat: Mapping[str, Any]) -> str:
    """SHA-256 over the leaves sorted by path: path, dtype, shape, C-order bytes (REFERENCE: checkpoint digest)."""
    sha = hashlib.sha256()
    for path, leaf in sorted(flat.items()):
        array = np.ascontiguousarray(jax.device_get(leaf))
        sha.update(f"{path} {array.dtype} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def example(shape: Shape) -> Any:
    """A batch of one as jax.ShapeDtypeStruct: an image of `shape` (h, w, c), or what is seen by name.

    By name are shapes of float32, or jax.ShapeDtypeStruct of another dtype; all without the batch.
    """
    if isinstance(shape, Mapping):
        return {name: example(own) for name, own in shape.items()}
    if isinstance(shape, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((1, *shape.shape), shape.dtype)
    return jax.ShapeDtypeStruct((1, *shape), "float32")
