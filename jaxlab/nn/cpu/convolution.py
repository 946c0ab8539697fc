"""Convolutions that XLA's CPU backend runs slowly, as matrix products, sums of shifted products, or with more channels.

Matrix products too have a gradient of their own: XLA computes at half speed or less those that JAX derives.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxlab.nn.cpu import winograd
from jaxlab.nn.cpu.depthwise import Padding, depthwise
from jaxlab.nn.cpu.turns import by_width, folded, parts_of
from jaxlab.nn.spread import devices_of_rows

Product = Callable[[Array, Array], Array]  # (n, c), (c, o) -> (n, o)
_SMALL = 3  # output rows or columns; XLA's is faster again from 4 on


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "k l i o"],
    strides: Any,
    padding: Any,
    product: Product,
    **options: Any,
) -> Float[Array, "b r s o"]:
    """`lax.conv_general_dilated`, of which some are matrix products: of 1 x 1, or of at most 3 pixels' width or height.

    Depthwise ones are sums of shifted products (depthwise.py), 3 x 3 ones of many channels Winograd's (winograd.py).
    Measured at 56 x 56 x 256 to 64, 1 x 1, batch 8, one core: gradient of the kernel 10 ms, XLA's own 32.
    At 2 x 2 x 512, batch 25: 11 ms and 7 ms (gradient of x) against 856 ms and 904 ms.
    At stride 1 or 3 x 3, three channels get a fourth of zeros: 3 to 32 at 112 x 112, batch 25, 10 ms, not 46.
    strides: (down, across). padding: ((top, bottom), (left, right)), "SAME" or "VALID". options: as lax takes them;
    dilated ones are left to it.
    """
    if any(options.get(name) not in (None, (1, 1)) for name in ("lhs_dilation", "rhs_dilation")):
        return lax.conv_general_dilated(x, kernel, strides, padding, **options)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    groups, strides, padding = options["feature_group_count"], tuple(strides), tuple(map(tuple, padding))
    if groups == x.shape[-1] == kernel.shape[-1]:
        if min(kernel.shape[:2]) >= max(strides):
            return depthwise(x, kernel, strides, padding)
    elif groups == 1:
        if _tiles(x, kernel, strides, padding):
            return _patches(x, kernel)
        if kernel.shape[:2] == (1, 1) or min(_outputs(x, kernel, strides, padding)) <= _SMALL:
            return _as_product(x, kernel, strides, padding, product)
        if x.shape[-1] == 3 and strides == (1, 1):
            return of_colours(x, kernel, padding)
        if x.shape[-1] == 3 and max(kernel.shape[:2]) <= 3:
            x, kernel = _fourth(x, kernel)
        elif winograd.worth(x, kernel, strides, padding):
            return winograd.winograd(x, kernel, padding)
    return lax.conv_general_dilated(x, kernel, strides, padding, **options)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def of_colours(
    x: Float[Array, "b h w i"], kernel: Float[Array, "k l i o"], padding: Padding
) -> Float[Array, "b r s o"]:
    """A convolution of three channels, of stride 1, whose kernel's gradient is one of matrix products.

    XLA's own lays the whole batch out anew first: with it a ShallowCNN's step at 112 x 112, 7 x 7, on two devices takes
    1.19 times as long.
    """
    return _of_four(x, kernel, padding)


def _of_four(x: Array, kernel: Array, padding: Padding) -> Array:
    x, kernel = _fourth(x, kernel)
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _colours_back(padding: Padding, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    of_x, of_kernel = jax.vjp(lambda x, kernel: _of_four(x, kernel, padding), x, kernel)[1](gradient)
    down, across, channels, outputs = kernel.shape
    parts = parts_of(len(x), by_width(x, across * channels))
    if parts == 1 or devices_of_rows() > 1:  # devices would wait for each other at every part
        return of_x, of_kernel

    def step(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        """Of a few images: columns of the kernel side by side as rows of a matrix, its rows one after another."""
        x, gradient = part
        rows, columns = gradient.shape[1:3]
        padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        beside = jnp.concatenate([padded[:, :, j : j + columns] for j in range(across)], -1)
        flat = gradient.reshape(-1, outputs)
        found = [beside[:, i : i + rows].reshape(len(flat), -1).T @ flat for i in range(down)]
        return total + jnp.stack(found), None

    zeros = jnp.zeros((down, across * channels, outputs), jnp.promote_types(x.dtype, jnp.float32))
    total, _ = folded(step, zeros, (x, gradient), parts)
    return of_x, total.reshape(kernel.shape).astype(kernel.dtype)


of_colours.defvjp(lambda x, kernel, padding: (of_colours(x, kernel, padding), (x, kernel)), _colours_back)


def _fourth(x: Array, kernel: Array) -> tuple[Array, Array]:
    """With a fourth channel of zeros."""
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))), jnp.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0)))


def _tiles(x: Array, kernel: Array, strides: Any, padding: Any) -> bool:
    """Whether each pixel is seen once, by a kernel of several, as those of a vision transformer's patches."""
    (h, w), (down, across) = x.shape[1:3], strides
    unpadded = padding == ((0, 0), (0, 0))
    return unpadded and kernel.shape[:2] == strides != (1, 1) and h % down == w % across == 0


def _patches(x: Array, kernel: Array) -> Array:
    """Each patch as one row, times the kernel as one matrix."""
    (b, h, w, c), (down, across) = x.shape, kernel.shape[:2]
    tiles = x.reshape(b, h // down, down, w // across, across, c).transpose(0, 1, 3, 2, 4, 5)
    return tiles.reshape(b, h // down, w // across, -1) @ kernel.reshape(-1, kernel.shape[-1])


def _outputs(x: Array, kernel: Array, strides: Any, padding: Any) -> list[int]:
    axes = zip(x.shape[1:3], kernel.shape[:2], strides, padding, strict=True)
    return [(size + sum(pad) - k) // stride + 1 for size, k, stride, pad in axes]


def _as_product(x: Array, kernel: Array, strides: Any, padding: Any, product: Product) -> Array:
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


@jax.custom_vjp
def product(x: Float[Array, "n c"], kernel: Float[Array, "c o"]) -> Float[Array, "n o"]:
    """x @ kernel."""
    return x @ kernel


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, kernel), (x, kernel)


def _backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """The kernel's is computed with the longer side across, and turned: 256 x 25,088 x 64 at 85 GFLOP/s, not 50.

    XLA would fold the turning into the product; the barrier keeps them apart.
    """
    x, kernel = saved
    inputs, outputs = kernel.shape
    weights = lax.optimization_barrier(gradient.T @ x).T if inputs > outputs else x.T @ gradient
    return gradient @ kernel.T, weights


product.defvjp(_forward, _backward)
