"""Random keys as pure functions of seed, step and global row."""

import zlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxlab.types import Mode


def initial_key(seed: int) -> Key[Array, ""]:
    """The key of initial parameters, which no step uses."""
    return jax.random.fold_in(jax.random.key(seed), 0xFFFFFFFF)


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


def dropout_mask(mode: Mode, layer: str, rate: float, shape: tuple[int, ...]) -> Float[Array, "b ..."]:
    """(b, *shape) of 0 and 1/(1 - rate), drawn from each row's key and the layer's name."""
    if mode.row_keys is None:
        raise ValueError(f"dropout in {layer!r} needs Mode(row_keys=...) in training")
    name = zlib.crc32(layer.encode())

    def row(key: Key[Array, ""]) -> Float[Array, "..."]:
        kept = jax.random.bernoulli(jax.random.fold_in(key, name), 1.0 - rate, shape)
        return kept / (1.0 - rate)

    return jax.vmap(row)(mode.row_keys)
