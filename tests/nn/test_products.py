"""Products of rounded operands are those of NumPy on operands that ml_dtypes has rounded."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from jaxlab.nn.cpu import switched
from jaxlab.nn.layers import conv
from jaxlab.nn.products import product, round_products
from jaxlab.training import runtime

RNG = np.random.default_rng(0)
X, KERNEL, GRADIENT = (RNG.normal(size=shape).astype(np.float32) for shape in ((40, 24), (24, 16), (40, 16)))


def halved(array):
    return array.astype(ml_dtypes.bfloat16).astype(np.float64)


@pytest.mark.parametrize("cpu", [True, False])
def test_output_and_gradients(cpu):
    with switched(cpu):
        out, back = jax.vjp(jax.jit(product), X, KERNEL)
        x, kernel = back(GRADIENT)
    np.testing.assert_allclose(out, halved(X) @ halved(KERNEL), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(x, halved(GRADIENT) @ halved(KERNEL).T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(kernel, halved(X).T @ halved(GRADIENT), rtol=1e-5, atol=1e-5)
    assert out.dtype == x.dtype == kernel.dtype == jnp.float32


def test_a_networks_linear_layers_and_1_by_1_convolutions():
    class Network(nnx.Module):
        def __init__(self, rngs):
            self.conv, self.linear = conv(24, 24, 1, rngs=rngs), nnx.Linear(24, 16, rngs=rngs)

        def __call__(self, x):
            return self.linear(self.conv(x).mean(2))

    network, images = Network(nnx.Rngs(0)), X.reshape(2, 5, 4, 24)
    before = network(images)
    round_products(network)
    after = network(images)

    first = halved(images) @ halved(np.asarray(network.conv.kernel[0, 0]))
    means = first.mean(2).astype(np.float32)
    np.testing.assert_allclose(
        after, halved(means) @ halved(np.asarray(network.linear.kernel[...])), rtol=1e-2, atol=1e-3
    )
    assert after.dtype == jnp.float32
    assert 1e-5 < np.abs(after - before).max() / np.abs(before).max() < 0.02


@pytest.mark.parametrize(("flags", "found"), [({"avx512_bf16"}, "bfloat16"), ({"avx512f"}, "float32")])
def test_a_processor_without_the_instructions_computes_in_float32(flags, found, monkeypatch):
    monkeypatch.setattr(runtime, "_instructions", lambda: frozenset(flags))
    assert runtime.compute_dtype("bfloat16") == found
    assert runtime.compute_dtype("float32") == "float32"
