"""Depthwise convolution for CPUs, where XLA's grouped one is 20 to 100 times slower than memory allows.

A sum over kernel positions of the shifted image times that position's weights, which XLA fuses into one loop.
Its gradients are written out: those that JAX derives are 3 (image) and 5 (kernel) times slower.
"""

from collections.abc import Iterable
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Pair = tuple[int, int]  # down, across
Padding = tuple[Pair, Pair]  # (top, bottom), (left, right)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k l 1 c"], strides: Pair, padding: Padding
) -> Float[Array, "b i j c"]:
    """Each channel convolved with its own kernel; accumulated in float32 or wider, in the image's dtype."""
    axes = zip(x.shape[1:3], kernel.shape[:2], strides, padding, strict=True)
    sizes = tuple((size + sum(pad) - k) // stride + 1 for size, k, stride, pad in axes)
    padded = _pad(x, padding)
    shifts = product(*map(range, kernel.shape[:2]))
    return _weighted((_window(padded, at, strides, sizes), kernel[at]) for at in shifts).astype(x.dtype)


def _forward(x: Array, kernel: Array, strides: Pair, padding: Padding) -> tuple[Array, tuple[Array, Array]]:
    return depthwise(x, kernel, strides, padding), (x, kernel)


def _backward(
    strides: Pair, padding: Padding, saved: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    x, kernel = saved
    image = _image_gradient(gradient, kernel, x.shape[1:3], strides, padding)
    return image.astype(x.dtype), _kernel_gradient(x, gradient, kernel, strides, padding)


depthwise.defvjp(_forward, _backward)


def _image_gradient(gradient: Array, kernel: Array, size: Pair, strides: Pair, padding: Padding) -> Array:
    """Every pixel of a phase (its row and column modulo the strides) meets the same kernel positions.

    Pixel s q + a met position k in output q + (a + pad - k) / s, where s divides that.
    """
    counts = tuple(-(-n // stride) for n, stride in zip(size, strides, strict=True))
    meets = [_meetings(k, s, pad[0]) for k, s, pad in zip(kernel.shape, strides, padding, strict=False)]
    offsets = [[offset for phase in axis for _, offset in phase] for axis in meets]
    ends = [max(off) + n - found for off, n, found in zip(offsets, counts, gradient.shape[1:3], strict=True)]
    padded = _pad(gradient, tuple((-min(off), end) for off, end in zip(offsets, ends, strict=True)))

    def phase(down: int, across: int) -> Array:
        positions = product(meets[0][down], meets[1][across])
        return _weighted(
            (_window(padded, (i - min(offsets[0]), j - min(offsets[1])), (1, 1), counts), kernel[row, column])
            for (row, i), (column, j) in positions
        )

    b, c = gradient.shape[0], gradient.shape[-1]
    rows = [jnp.concatenate([phase(a, e) for e in range(strides[1])], -1) for a in range(strides[0])]
    flat = jnp.concatenate([row.reshape(b, counts[0], -1) for row in rows], -1)
    return flat.reshape(b, counts[0] * strides[0], counts[1] * strides[1], c)[:, : size[0], : size[1]]


def _meetings(k: int, stride: int, before: int) -> list[list[Pair]]:
    """For each phase of an axis: the kernel positions it meets, and how far the output lies from its own."""
    return [
        [(at, (phase + before - at) // stride) for at in range(k) if (phase + before - at) % stride == 0]
        for phase in range(stride)
    ]


def _kernel_gradient(x: Array, gradient: Array, kernel: Array, strides: Pair, padding: Padding) -> Array:
    """Image times output gradient, summed over the batch pixel by pixel, and over pixels only at the end."""
    sizes, c = gradient.shape[1:3], gradient.shape[-1]
    wide = jnp.promote_types(x.dtype, jnp.float32)
    shifts = list(product(*map(range, kernel.shape[:2])))

    def add(sums: list[Array], image: tuple[Array, Array]) -> tuple[list[Array], None]:
        padded, out = image
        windows = [_window(padded[None], at, strides, sizes)[0] for at in shifts]
        return [total + window * out for total, window in zip(sums, windows, strict=True)], None

    sums, _ = lax.scan(add, [jnp.zeros((*sizes, c), wide)] * len(shifts), (_pad(x, padding), gradient))
    return (
        jnp.stack([total.reshape(-1, c).sum(0) for total in sums]).reshape(kernel.shape).astype(kernel.dtype)
    )


def _weighted(terms: Iterable[tuple[Array, Array]]) -> Array:
    """The sum of windows (b, i, j, c) times weights (1, c), at least in float32."""
    total = None
    for window, weight in terms:
        wide = jnp.promote_types(window.dtype, jnp.float32)
        term = window.astype(wide) * weight.astype(wide)[None, None]
        total = term if total is None else total + term
    assert total is not None
    return total


def _window(padded: Array, at: Pair, strides: Pair, sizes: tuple[int, ...]) -> Array:
    """The pixels that kernel position `at` sees, (b, *sizes, c)."""
    rows, columns = (slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(at, strides, sizes, strict=True))
    return padded[:, rows, columns]


def _pad(x: Array, padding: Padding) -> Array:
    """Zeros around, or pixels fewer where negative."""
    edges = [(0, 0, 0), *((*pair, 0) for pair in padding), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), edges)
