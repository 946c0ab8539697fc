"""Convolutions of fewer products are held to XLA's, forwards and backwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxlab.nn.convolution import convolve
from jaxlab.nn.cpu import winograd

OPTIONS = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": 1}
SAME = ((1, 1), (1, 1))


@pytest.mark.parametrize(
    ("size", "padding", "inputs", "outputs"),
    [
        ((8, 8), SAME, 128, 64),
        ((9, 12), SAME, 64, 128),
        ((10, 9), ((0, 0), (0, 1)), 96, 96),  # 8 x 8 outputs
        ((7, 10), ((2, 0), (1, 1)), 64, 32),  # few: XLA's, but for the kernel's gradient
    ],
)
def test_outputs_and_gradients_equal_xla(size, padding, inputs, outputs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *size, inputs)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, inputs, outputs)).astype(np.float32) / np.float32(np.sqrt(9 * inputs))
    assert winograd.worth(x, kernel, (1, 1), padding)
    theirs, reference = jax.vjp(
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), padding, **OPTIONS), x, kernel
    )
    gradient = rng.normal(size=theirs.shape).astype(np.float32)

    ours, back = jax.vjp(jax.jit(lambda x, w: convolve(x, w, (1, 1), padding, **OPTIONS)), x, kernel)

    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for mine, xla in zip(back(gradient), reference(gradient), strict=True):
        np.testing.assert_allclose(mine, xla, rtol=1e-5, atol=1e-5 * np.abs(xla).max())


def test_an_image_among_others_and_several_kernels_at_once():
    """As folds in one program have them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 8, 8, 64)).astype(np.float32)
    kernel = rng.normal(size=(2, 3, 3, 64, 128)).astype(np.float32)

    def squares(x, w):
        return jnp.square(winograd.winograd(x, w, SAME)).sum()

    both = jax.jit(jax.vmap(jax.grad(squares, argnums=(0, 1))))(x, kernel)
    for k in range(2):
        one = jax.jit(jax.grad(squares, argnums=(0, 1)))(x[k], kernel[k])
        for together, alone in zip(both, one, strict=True):
            np.testing.assert_allclose(together[k], alone, rtol=1e-4, atol=1e-5 * np.abs(alone).max())


@pytest.mark.parametrize(
    ("x", "kernel", "strides"),
    [
        ((8, 8, 8, 64), (3, 3, 64, 64), (2, 2)),
        ((8, 8, 8, 64), (5, 5, 64, 64), (1, 1)),
        ((8, 8, 8, 16), (3, 3, 16, 256), (1, 1)),
        ((8, 8, 8, 32), (3, 3, 32, 32), (1, 1)),
        ((8, 5, 5, 64), (3, 3, 64, 64), (1, 1)),  # six by six are computed
        ((1, 7, 7, 512), (3, 3, 512, 512), (1, 1)),  # sixteen tiles: the kernel's sums take longer
    ],
)
def test_what_it_does_not_pay_for_is_left_to_xla(x, kernel, strides):
    assert not winograd.worth(jnp.zeros(x), jnp.zeros(kernel), strides, SAME)


def test_half_precision_is_left_to_xla():
    x, kernel = jnp.zeros((8, 8, 8, 64)), jnp.zeros((3, 3, 64, 64))
    assert winograd.worth(x, kernel, (1, 1), SAME)
    assert not winograd.worth(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), (1, 1), SAME)


def test_numbers_of_64_bits_may_be_on():
    x, kernel = (jax.ShapeDtypeStruct(shape, "float32") for shape in ((3, 8, 8, 64), (3, 3, 64, 128)))
    with jax.enable_x64(True):
        found = jax.eval_shape(
            jax.grad(lambda x, w: convolve(x, w, (1, 1), SAME, **OPTIONS).sum(), (0, 1)), x, kernel
        )
    assert [(one.shape, one.dtype) for one in found] == [(x.shape, x.dtype), (kernel.shape, kernel.dtype)]
