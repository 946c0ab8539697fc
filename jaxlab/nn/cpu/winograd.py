"""3 x 3 convolutions of stride 1 with fewer products: F(2 x 2, 3 x 3) of Lavin & Gray (2016), "Fast algorithms for
convolutional neural networks".

Tiles of 4 x 4 pixels, two apart, become 16 sums of pixels. Each of these times its own sum of kernel positions is one
matrix product over channels; 16 such products give 2 x 2 outputs, for which 36 are needed otherwise. Rounding errors
are those of an ordinary convolution in float32. Both gradients consist of the same parts.

The 16 are made one after another in a loop, so that the sums of one lie in the processor's cache when they are
multiplied, and XLA compiles one of them.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxlab.nn.later import known, later

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # (top, bottom), (left, right)

# Along one axis the matrices B, G and A of the paper; of B, whose rows add or subtract two pixels, which and how.
_PAIRS = np.array([[0, 2], [1, 2], [2, 1], [1, 3]], np.int32)
_SIGNS = np.array([[1, -1], [1, 1], [1, -1], [1, -1]], np.float32)
_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
_POSITIONS = np.kron(_KERNEL, _KERNEL)  # both axes: (16, 9)
_OUTPUTS = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)
_TURNED = np.array([3, 1, 2, 0])  # where the sums of a kernel that is turned around are among its own

_FEW = 128 * 64  # inputs times outputs, below which the sums take longer than the products that they save


def worth(x: Array, kernel: Array, strides: Pair, padding: Padding) -> bool:
    """Whether `winograd` is faster than XLA's convolution, in its gradients at least; float32 alone is as exact."""
    if kernel.shape[:2] != (3, 3) or strides != (1, 1) or not x.dtype == kernel.dtype == jnp.float32:
        return False
    inputs, outputs = kernel.shape[2:]
    (rows, columns), (tall, wide) = _sizes(x, padding)
    filled = rows * columns / (4 * tall * wide)  # odd sizes leave part of the last tiles empty
    tiles = len(x) * tall * wide
    few = min(inputs, outputs) < 32 or inputs * outputs < 32 * 64
    return not few and filled > 0.7 and 16 * tiles > min(inputs, outputs)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def winograd(
    x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c o"], padding: Padding
) -> Float[Array, "b i j o"]:
    """The convolution of stride 1; of few channels by XLA, but for the kernel's gradient.

    Measured on one core, batch 8, output, gradients of the image and of the kernel, milliseconds: at 14 x 14 x 256
    5.0, 5.0, 6.0, not 8.6, 9.3, 12.0; at 28 x 28 x 128 5.4, 5.7, 7.0, not 8.7, 8.8, 14.1; at 56 x 56 x 64 the last
    alone, 10.2, not 13.4.
    """
    return _convolved(x, kernel, padding, jnp.asarray(_POSITIONS))


def _forward(x: Array, kernel: Array, padding: Padding) -> tuple[Array, tuple[Array, Array]]:
    return winograd(x, kernel, padding), (x, kernel)


def _backward(padding: Padding, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """Both wait for the gradient: XLA would else keep padded images and sums of kernels from the pass forward."""
    x, kernel = saved
    there = known(gradient)
    (top, bottom), (left, right) = padding
    turned = (2 - top, 2 - bottom), (2 - left, 2 - right)
    image = _convolved(gradient, kernel, turned, jnp.where(there.all(), _POSITIONS, 0), turned=True)
    return image, _kernel_gradient(later(x, there), gradient, padding)


winograd.defvjp(_forward, _backward)


def _convolved(x: Array, kernel: Array, padding: Padding, positions: Array, turned: bool = False) -> Array:
    """(b, rows, columns, o); turned: with the kernel turned around, from its outputs to its inputs."""
    inputs, outputs = kernel.shape[2:][::-1] if turned else kernel.shape[2:]
    if inputs * outputs < _FEW:
        names = ("NHWC", "HWOI" if turned else "HWIO", "NHWC")
        kernel = kernel[::-1, ::-1] if turned else kernel
        return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=names)
    order = _TURNED if turned else np.arange(4)
    (rows, columns), (tall, wide) = _sizes(x, padding)
    padded = _padded(x, padding)

    weights = (positions @ kernel.reshape(9, -1)).reshape(16, *kernel.shape[2:])
    tables = _both(_PAIRS[order]), _both(_SIGNS[order]), weights

    def product(at: Array, signs: Array, weights: Array) -> Array:
        pixels = _pixels(padded, at, signs).reshape(-1, inputs)
        return lax.dot_general(pixels, weights, (((1,), (int(turned),)), ((), ())))

    found = _each(product, tables, (len(x) * tall * wide, outputs), x)
    found = found.reshape(4, 4, len(x), tall, wide, outputs)
    down = _outputs(*(found[row] for row in order))
    lines = [jnp.stack(_outputs(*(line[column] for column in order)), axis=3) for line in down]
    return jnp.stack(lines, axis=2).reshape(len(x), 2 * tall, 2 * wide, outputs)[:, :rows, :columns]


def _kernel_gradient(x: Array, gradient: Array, padding: Padding) -> Array:
    """(3, 3, c, o)."""
    (rows, columns), (tall, wide) = _sizes(x, padding)
    inputs, outputs = x.shape[-1], gradient.shape[-1]
    padded = _padded(x, padding)
    squares = jnp.pad(gradient, ((0, 0), (0, 2 * tall - rows), (0, 2 * wide - columns), (0, 0)))
    squares = squares.reshape(len(x), tall, 2, wide, 2, outputs)

    def product(at: Array, signs: Array, shares: Array) -> Array:
        parts = [squares[:, :, i, :, j] * (shares[0, i] * shares[1, j]) for i in (0, 1) for j in (0, 1)]
        pixels, after = _pixels(padded, at, signs), sum(parts[1:], parts[0])
        return pixels.reshape(-1, inputs).T @ after.reshape(-1, outputs)

    found = _each(product, (_both(_PAIRS), _both(_SIGNS), _both(_OUTPUTS.T)), (inputs, outputs), gradient)
    return (jnp.asarray(_POSITIONS.T) @ found.reshape(16, -1)).reshape(3, 3, inputs, outputs)


def _each(
    product: Callable[..., Array], tables: tuple[Array, Array, Array], shape: Pair, given: Array
) -> Float[Array, "16 n m"]:
    """The 16 products, of the rows of `tables`. lax.map would take memory for them before there is what they need."""
    start = jnp.broadcast_to(given[(0,) * given.ndim], (16, *shape))  # overwritten

    def write(k: Array, found: Array) -> Array:
        rows = (lax.dynamic_index_in_dim(table, k, keepdims=False) for table in tables)
        return lax.dynamic_update_index_in_dim(found, product(*rows), k, 0)

    return lax.fori_loop(0, 16, write, start)


def _sizes(x: Array, padding: Padding) -> tuple[Pair, Pair]:
    """Rows and columns of the outputs, and of the tiles."""
    rows, columns = (size + sum(pad) - 2 for size, pad in zip(x.shape[1:3], padding, strict=True))
    return (rows, columns), (-(-rows // 2), -(-columns // 2))


def _padded(x: Array, padding: Padding) -> Float[Array, "b tall 2 wide 2 c"]:
    """The image as pairs of rows and of columns, one more each than there are tiles: a tile is two by two of them."""
    _, (tall, wide) = _sizes(x, padding)
    ends = [
        (before, 2 * tiles + 2 - before - size, 0)
        for tiles, (before, _), size in zip((tall, wide), padding, x.shape[1:3], strict=True)
    ]
    padded = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *ends, (0, 0, 0)))
    return padded.reshape(len(x), tall + 1, 2, wide + 1, 2, x.shape[-1])


def _pixels(padded: Array, at: Array, signs: Array) -> Float[Array, "b tall wide c"]:
    """One of the 16 sums of each tile: at, signs (2, 2), for rows and for columns the two of four, and their signs."""
    b, tall, _, wide, _, c = padded.shape
    zero = jnp.zeros((), at.dtype)  # numbers of Python would be of 64 bits where JAX has these
    parts = []
    for row, down in zip(at[0], signs[0], strict=True):
        for column, across in zip(at[1], signs[1], strict=True):
            start = (zero, row // 2, row % 2, column // 2, column % 2, zero)
            size = (b, tall - 1, 1, wide - 1, 1, c)
            found = lax.dynamic_slice(padded, start, size, allow_negative_indices=False)
            parts.append(found.reshape(b, tall - 1, wide - 1, c) * (down * across))
    return sum(parts[1:], parts[0])


def _both(table: np.ndarray) -> Array:
    """(4, k) of one axis -> (16, 2, k), of rows and of columns."""
    return jnp.asarray([(row, column) for row in table for column in table])


def _outputs(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """Both outputs along an axis."""
    return a + b + c, b - c - d
