"""Depthwise convolution is held to sums over pixels in float64, forwards and backwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.nn.convolution import convolve
from jaxlab.nn.cpu.depthwise import depthwise

CASES = [  # image, kernel, stride, padding
    ((6, 7), 3, 1, ((1, 1), (1, 1))),
    ((8, 6), 3, 2, ((1, 1), (1, 1))),
    ((7, 9), 3, 2, ((1, 1), (1, 1))),
    ((8, 8), 3, 2, ((0, 1), (0, 1))),  # TensorFlow's SAME
    ((9, 6), 5, 1, ((2, 2), (2, 2))),
    ((7, 8), 5, 2, ((2, 2), (2, 2))),
    ((8, 6), 5, 2, ((1, 2), (1, 2))),
    ((5, 4), 7, 1, ((3, 3), (3, 3))),
    ((11, 9), 5, 3, ((0, 2), (2, 1))),
    ((9, 8), 3, 2, ((0, 0), (0, 0))),  # the last row is not seen
    ((6, 5), 3, 1, ((3, 4), (5, 0))),  # more padding than kernel
]


def slowly(
    x: np.ndarray, kernel: np.ndarray, gradient: np.ndarray | None, stride: int, padding: tuple
) -> tuple:
    """Output, and the gradients of image and kernel, pixel by pixel from the definition, in float64."""
    top, left = padding[0][0], padding[1][0]
    padded = np.pad(x.astype(np.float64), ((0, 0), *padding, (0, 0)))
    k = len(kernel)
    rows, columns = ((n - k) // stride + 1 for n in padded.shape[1:3])
    out = np.zeros((len(x), rows, columns, x.shape[-1]))
    gradient = out if gradient is None else gradient
    image, weights = np.zeros_like(padded), np.zeros(kernel.shape)
    for i in range(rows):
        for j in range(columns):
            at = np.s_[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = np.einsum("bklc,klc->bc", padded[at], kernel[:, :, 0])
            image[at] += np.einsum("bc,klc->bklc", gradient[:, i, j], kernel[:, :, 0])
            weights[:, :, 0] += np.einsum("bc,bklc->klc", gradient[:, i, j], padded[at])
    return out, image[:, top : top + x.shape[1], left : left + x.shape[2]], weights


def arrays(size: tuple[int, int], k: int, batch: int, channels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *size, channels)).astype(np.float32)
    return x, rng.normal(size=(k, k, 1, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "k", "stride", "padding", "batch"), [*((*case, 3) for case in CASES), (*CASES[2], 1)]
)
def test_output_and_gradients_equal_the_definition(
    size: tuple[int, int], k: int, stride: int, padding: tuple, batch: int
) -> None:
    x, kernel = arrays(size, k, batch)
    shape = slowly(x, kernel, None, stride, padding)[0].shape
    gradient = np.random.default_rng(1).normal(size=shape).astype(np.float32)

    @jax.jit
    def ours(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, ...]:
        out, back = jax.vjp(lambda x, w: depthwise(x, w, (stride, stride), padding), x, kernel)
        return out, *back(gradient)

    expected = slowly(x, kernel, gradient, stride, padding)
    for found, theirs in zip(ours(x, kernel, gradient), expected, strict=True):
        np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-5)


def test_strides_may_differ_down_and_across() -> None:
    x, kernel = arrays((8, 9), 3, 2)
    pads = ((1, 1), (1, 1))
    full, _, _ = slowly(x, kernel, None, 1, pads)
    found = depthwise(jnp.asarray(x), jnp.asarray(kernel), (2, 1), pads)
    np.testing.assert_allclose(found, full[:, ::2], rtol=1e-5, atol=1e-5)


def test_bfloat16_images_are_summed_in_float32() -> None:
    x, kernel = arrays((8, 8), 5, 2)
    narrow = jnp.asarray(x, jnp.bfloat16)
    out, back = jax.vjp(lambda x, w: depthwise(x, w, (1, 1), ((2, 2), (2, 2))), narrow, jnp.asarray(kernel))
    image, weights = back(out)
    expected = slowly(
        np.asarray(narrow, np.float32), kernel, np.asarray(out, np.float32), 1, ((2, 2), (2, 2))
    )
    assert (out.dtype, image.dtype, weights.dtype) == (jnp.bfloat16, jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(np.asarray(out, np.float32), expected[0], rtol=2**-8, atol=1e-6)
    np.testing.assert_allclose(np.asarray(image, np.float32), expected[1], rtol=2**-8, atol=1e-4)
    np.testing.assert_allclose(weights, expected[2], rtol=1e-5, atol=1e-3)


def test_convolve_takes_it_for_depthwise_kernels() -> None:
    x, kernel = arrays((6, 6), 3, 2)
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": 4}
    traced = jax.make_jaxpr(lambda x, w: convolve(x, w, [1, 1], [(1, 1), (1, 1)], **options))(x, kernel)
    assert "conv_general_dilated" not in str(traced)


def test_vmap_scan_and_pmap() -> None:
    x, kernel = arrays((6, 6), 3, 4)
    arguments = ((2, 2), ((1, 1), (1, 1)))

    def loss(w: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.square(depthwise(x, w, *arguments)).sum()

    each = jnp.asarray(x)[:, None]
    expected = jax.jit(jax.grad(loss))(jnp.asarray(kernel), jnp.asarray(x))  # of the whole batch
    scanned = jax.jit(lambda w, x: jax.lax.scan(lambda c, image: (c, jax.grad(loss)(w, image)), 0, x)[1])
    mapped = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))
    parallel = jax.pmap(jax.grad(loss), in_axes=(None, 0))
    for gradients in (scanned, mapped, parallel):
        np.testing.assert_allclose(
            gradients(jnp.asarray(kernel), each).sum(0), expected, rtol=1e-5, atol=1e-4
        )


def test_the_gradient_of_a_frozen_kernel_is_not_computed() -> None:
    x, kernel = arrays((6, 6), 3, 2)

    def loss(x: jax.Array) -> jax.Array:
        return depthwise(x, jnp.asarray(kernel), (1, 1), ((1, 1), (1, 1))).sum()

    assert (
        "while" not in jax.jit(jax.grad(loss)).lower(x).compile().as_text()
    )  # the kernel's has the only loop
