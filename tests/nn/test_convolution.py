"""The other forms of convolution are held to XLA's, forwards and backwards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxlab.nn.convolution import convolve
from jaxlab.nn.cpu import turns

OPTIONS = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": 1}


@pytest.mark.parametrize(
    ("size", "k", "stride", "channels"),
    [
        ((2, 2), 3, 1, 4),
        ((1, 1), 3, 1, 4),
        ((4, 5), 3, 2, 4),
        ((3, 7), 1, 2, 4),
        ((8, 9), 3, 1, 3),
        ((9, 8), 3, 2, 3),
    ],
)
def test_small_maps_and_colour_images_equal_xla(
    size: tuple[int, int], k: int, stride: int, channels: int
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, channels)).astype(np.float32)
    kernel = rng.normal(size=(k, k, channels, 5)).astype(np.float32)
    arguments = ((stride, stride), ((k // 2, k // 2),) * 2)

    ours, back = jax.vjp(lambda x, w: convolve(x, w, *arguments, **OPTIONS), x, kernel)
    theirs, reference = jax.vjp(lambda x, w: lax.conv_general_dilated(x, w, *arguments, **OPTIONS), x, kernel)

    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for mine, xla in zip(back(theirs), reference(theirs), strict=True):
        np.testing.assert_allclose(mine, xla, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pads", [((2, 2), (1, 1)), ((0, 3), (2, 0)), ((0, 0), (0, 0))])
def test_the_gradient_of_a_colour_kernel_is_xlas_a_few_images_at_a_time(monkeypatch, pads):
    monkeypatch.setattr(turns, "SHARED", 0)
    monkeypatch.setattr(turns, "CACHED", 2 * 9 * 8 * 3 * 3 * 4)  # two images of three columns
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((6, 9, 8, 3), (5, 3, 3, 4)))

    def gradients(convolution):
        found, back = jax.vjp(lambda x, w: convolution(x, w, (1, 1), pads, **OPTIONS), x, kernel)
        return back(jnp.sin(found))

    traced = jax.jit(lambda: gradients(convolve)).lower().as_text()
    assert (
        "tensor<5x9x4xf32>" in traced
    )  # the sum over parts: rows of the kernel, columns and colours, outputs
    for mine, xla in zip(gradients(convolve), gradients(lax.conv_general_dilated), strict=True):
        np.testing.assert_allclose(mine, xla, rtol=1e-4, atol=1e-4)


def test_large_and_grouped_maps_are_left_to_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(lax, "conv_general_dilated", lambda x, *_, **__: called.append(x) or x)
    pads = ((1, 1), (1, 1))
    convolve(jnp.zeros((1, 8, 8, 4)), jnp.zeros((3, 3, 4, 4)), (1, 1), pads, **OPTIONS)
    grouped = {**OPTIONS, "feature_group_count": 2}
    convolve(jnp.zeros((1, 2, 2, 4)), jnp.zeros((3, 3, 2, 4)), (1, 1), pads, **grouped)
    assert len(called) == 2


@pytest.mark.parametrize(
    ("channels", "outputs", "padding", "more"),
    [
        (4, 4, ((2, 2), (1, 1)), {"rhs_dilation": (2, 2), "feature_group_count": 4}),
        (4, 4, "SAME", {"rhs_dilation": (2, 2), "feature_group_count": 4}),
        (3, 5, "SAME", {"rhs_dilation": (1, 2)}),
        (4, 5, ((2, 2), (1, 1)), {"lhs_dilation": (2, 1)}),
    ],
)
def test_dilated_ones_are_left_to_xla(channels, outputs, padding, more):
    options, rng = OPTIONS | more, np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 8, channels)).astype(np.float32)
    inputs = channels // options["feature_group_count"]
    kernel = rng.normal(size=(3, 3, inputs, outputs)).astype(np.float32)
    found, expected = (
        one(x, kernel, (1, 1), padding, **options) for one in (convolve, lax.conv_general_dilated)
    )
    np.testing.assert_array_equal(found, expected)
