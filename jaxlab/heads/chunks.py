"""Forty thousand targets at a time in constant memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlab.nn.cpu import on_cpu

CPU_LIMIT = 2**20  # values between layer and targets that exist at once: 4 MB stay in a core's cache
LIMIT = 2**26
_DIVIDED: ContextVar[bool] = ContextVar("divided", default=True)


@contextmanager
def undivided() -> Iterator[None]:
    """While all targets are read in one go, of a program that is to be counted and not run."""
    token = _DIVIDED.set(False)
    try:
        yield
    finally:
        _DIVIDED.reset(token)


def over_targets(
    read: Callable[..., Float[Array, "t b"]], leaves: tuple[Float[Array, "t ..."], ...], values: int
) -> Float[Array, "b t"]:
    """`read(*leaves)` transposed, for so many targets at a time that what lies between stays small.

    values: the number that `read` computes on the way for each target. In the backward pass a chunk's are computed
    again. A few targets are read in one go.
    """
    count = len(leaves[0])
    most = max((CPU_LIMIT if on_cpu() else LIMIT) // values, 1)
    if count <= most or not _DIVIDED.get():
        return read(*leaves).T
    chunks = -(-count // most)
    size = -(-count // chunks)

    def dealt(leaf: Array) -> Array:
        short = [(0, chunks * size - count), *[(0, 0)] * (leaf.ndim - 1)]
        return jnp.pad(leaf, short).reshape(chunks, size, *leaf.shape[1:])

    again = jax.checkpoint(lambda chunk: read(*chunk), prevent_cse=False)
    outputs = jax.lax.map(again, tuple(map(dealt, leaves)))
    return outputs.reshape(chunks * size, -1)[:count].T
