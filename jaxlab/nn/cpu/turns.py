"""A few images at a time through what is wide inside: maps of a whole batch would leave the processor's cache."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlab.nn.cpu import on_cpu
from jaxlab.nn.spread import devices_of_rows

CACHED = 1 << 20  # bytes of a block's widest map: about what a core's own cache holds
SHARED = 16 << 20  # of a whole batch's, which go at once: what the cache of all cores holds
IMAGES = 8  # through a whole network
LARGE, SMALL = 224**2, 56**2  # pixels: fewer images of more, more of fewer

Call = Callable[[Any, Array], Any]  # (module, images) -> arrays with a row for each image


def in_turns(module: nnx.Module, call: Call, x: Float[Array, "b h w c"], most: int) -> Any:
    """call(module, x), at most `most` images on a device at a time; as it is where JAX does not compute on a CPU.

    No image's result may depend on the others, and the module must stay as it is. Where something of it or of the
    images is trained, all go at once: a gradient needs the maps anyhow, and nothing would be gained.
    Forward through 32 images of 224 x 224, MB beside the parameters, and speed: EfficientNet-Lite0 64 for 311, 1.14
    times as fast; ViT-tiny 39 for 107, 1.06; ResNet-18 137 for 273, as fast.
    """
    parts = parts_of(len(x), most)
    if parts == 1:
        return call(module, x)
    graphdef, state = nnx.split(module)

    def at_once(state: Any, x: Array) -> Any:
        return call(nnx.merge(graphdef, state), x)

    def turns(state: Any, x: Array) -> Any:
        return mapped(partial(at_once, state), x, parts)

    # JAX calls it as it is where nothing of its arguments is trained, its rule where something is.
    either: Any = jax.custom_vjp(turns)
    either.defvjp(partial(jax.vjp, at_once), lambda pull, gradient: pull(gradient))
    return either(state, x)


def by_width(x: Float[Array, "b h w c"], channels: int) -> int:
    """How many images a block takes whose widest map has so many channels."""
    widest = prod(x.shape[1:3]) * channels * x.dtype.itemsize
    return len(x) if len(x) * widest <= SHARED else max(1, CACHED // widest)


def by_size(x: Float[Array, "b h w c"]) -> int:
    """How many images a whole network takes."""
    pixels = prod(x.shape[1:3])
    return max(1, int(IMAGES * min(1.0, LARGE / pixels) * max(1.0, SMALL / pixels)))


def parts_of(images: int, most: int) -> int:
    """Into how many parts of equally many images, at most `most` on a device; 1 where only far fewer would do, and
    where JAX does not compute on a CPU.
    """
    if not on_cpu():
        return 1
    devices = devices_of_rows()
    sizes = [n for n in range(devices, min(images, most * devices) + 1, devices) if images % n == 0]
    return images // sizes[-1] if sizes and 3 * sizes[-1] >= min(images, most * devices) else 1


def mapped(call: Callable[[Any], Any], rows: Any, parts: int) -> Any:
    """call of some rows of arrays at a time, and what it makes of all of them, in their order."""
    _, found = folded(lambda nothing, part: (nothing, call(part)), None, rows, parts)
    return found


def folded(step: Callable[[Any, Any], Any], start: Any, rows: Any, parts: int) -> tuple[Any, Any]:
    """`lax.scan` over parts of rows of arrays, dealt out like cards, so that each device's images stay where they are.

    Each part is taken from where the rows lie: to lay them out part by part first is one pass more over all of them.
    """
    beside = jax.tree.map(lambda x: x.reshape(len(x) // parts, parts, *x.shape[1:]), rows)

    def one(carried: Any, number: Array) -> Any:
        part = jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, number, 1, keepdims=False), beside)
        return step(carried, part)

    carried, found = lax.scan(one, start, jnp.arange(parts))
    return carried, jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), found)
