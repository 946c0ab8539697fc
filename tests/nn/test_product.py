"""Products and 1 x 1 convolutions are held to float64, forwards and backwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.nn.convolution import convolve
from jaxlab.nn.cpu.convolution import product


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 7), (7, 3), (4, 4)])
def test_output_and_gradients_equal_numpy(inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(0)
    x, kernel, gradient = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((11, inputs), (inputs, outputs), (11, outputs))
    )
    out, back = jax.vjp(product, jnp.asarray(x), jnp.asarray(kernel))
    wide = [array.astype(np.float64) for array in (x, kernel, gradient)]
    expected = (wide[0] @ wide[1], wide[2] @ wide[1].T, wide[0].T @ wide[2])
    for ours, theirs in zip((out, *back(gradient)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_pointwise_convolutions_are_products_of_every_pixel(stride: int) -> None:
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=s).astype(np.float32) for s in ((2, 7, 8, 5), (1, 1, 5, 3)))
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": 1}

    @jax.jit
    def ours(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, ...]:
        pads = ((0, 0), (0, 0))
        out, back = jax.vjp(lambda x, w: convolve(x, w, (stride, stride), pads, **options), x, kernel)
        return out, *back(gradient)

    seen = x[:, ::stride, ::stride]
    gradient = rng.normal(size=(*seen.shape[:3], 3)).astype(np.float32)
    image = np.zeros(x.shape)
    image[:, ::stride, ::stride] = gradient @ kernel[0, 0].T.astype(np.float64)
    weights = np.einsum("bijc,bijo->co", seen.astype(np.float64), gradient)
    expected = (seen.astype(np.float64) @ kernel[0, 0], image, weights[None, None])
    for found, theirs in zip(ours(x, kernel, gradient), expected, strict=True):
        np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-5)
