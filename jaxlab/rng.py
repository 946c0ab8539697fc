"""Random keys as pure functions of seed, step and global row."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key


def step_key(seed: int, step: Int[Array, ""] | int) -> Key[Array, ""]:
    """The key of one training step."""
    return jax.random.fold_in(jax.random.key(seed), step)


def row_keys(key: Key[Array, ""], count: int, axis_name: str | None = None) -> Key[Array, "b"]:
    """(count,) keys, one for each *global* row of the batch.

    Under a mapped axis, `count` is the rows on this device and its rows follow those of the devices before it;
    so a row's key does not depend on how many devices share the batch.
    """
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(count))
