"""Convolution, with other forms on a CPU where XLA's own is slow: depthwise, small maps, colour images."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxlab.nn.depthwise import depthwise
from jaxlab.nn.product import product

_SMALL = 3  # output rows or columns; XLA's is faster again from 4 on


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "k l c_of_group o"],
    strides: Any,
    padding: Any,
    **options: Any,
) -> Float[Array, "b i j o"]:
    """`lax.conv_general_dilated`; on a CPU some are matrix products: 1 x 1, or of at most 3 pixels' width or height.

    Depthwise ones there are sums of shifted products (depthwise.py).
    Measured at 56 x 56 x 256 to 64, 1 x 1, batch 8, one core: gradient of the kernel 10 ms, XLA's own 32.
    At 2 x 2 x 512, batch 25: 11 ms and 7 ms (gradient of x) against 856 ms and 904 ms.
    At stride 1 or 3 x 3, three channels get a fourth of zeros: 3 to 32 at 112 x 112, batch 25, 10 ms, not 46.
    strides: (down, across). padding: ((top, bottom), (left, right)), "SAME" or "VALID". options: as lax takes them.
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    groups, strides, padding = options["feature_group_count"], tuple(strides), tuple(map(tuple, padding))
    if jax.default_backend() == "cpu" and groups == x.shape[-1] == kernel.shape[-1]:
        if min(kernel.shape[:2]) >= max(strides):
            return depthwise(x, kernel, strides, padding)
    elif jax.default_backend() == "cpu" and groups == 1:
        if kernel.shape[:2] == (1, 1) or min(_outputs(x, kernel, strides, padding)) <= _SMALL:
            return _as_product(x, kernel, strides, padding)
        if x.shape[-1] == 3 and (strides == (1, 1) or max(kernel.shape[:2]) <= 3):
            x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1)))
            kernel = jnp.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0)))
    return lax.conv_general_dilated(x, kernel, strides, padding, **options)


def _outputs(x: Array, kernel: Array, strides: Any, padding: Any) -> list[int]:
    axes = zip(x.shape[1:3], kernel.shape[:2], strides, padding, strict=True)
    return [(size + sum(pad) - k) // stride + 1 for size, k, stride, pad in axes]


def _as_product(x: Array, kernel: Array, strides: Any, padding: Any) -> Array:
    """Every kernel position's pixels side by side, times the kernel as one matrix."""
    rows, columns = _outputs(x, kernel, strides, padding)
    down, across = strides
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    patches = [
        padded[:, i : i + down * (rows - 1) + 1 : down, j : j + across * (columns - 1) + 1 : across]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    ]
    joined = patches[0] if len(patches) == 1 else jnp.concatenate(patches, axis=-1)
    found = product(joined.reshape(-1, joined.shape[-1]), kernel.reshape(-1, kernel.shape[-1]))
    return found.reshape(*joined.shape[:-1], -1)
