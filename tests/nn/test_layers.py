"""The shared layers against PyTorch (tests/reference/goldens/layers.npz) and against themselves on several devices."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from flax import nnx

from jaxlab.core.types import EVALUATION, Mode
from jaxlab.nn import cpu
from jaxlab.nn.layers import BatchNorm, average_pool, blur_pool, conv, gelu, max_pool, unfused_gradient

TRAIN = Mode(train=True)


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).parents[1] / "reference" / "goldens" / "layers.npz")


def norm_like(golden):
    norm = BatchNorm(3)
    norm.scale[...], norm.bias[...] = jnp.asarray(golden["scale"]), jnp.asarray(golden["bias"])
    return norm


def test_batch_norm_trains_as_pytorch(golden):
    graphdef, params, stats = nnx.split(norm_like(golden), nnx.Param, nnx.BatchStat)

    @jax.jit
    def run(params, stats, x):
        norm = nnx.merge(graphdef, params, stats, copy=True)
        return norm(x, TRAIN), nnx.state(norm, nnx.BatchStat)

    x = jnp.asarray(golden["x"])
    y, pullback, stats = jax.vjp(lambda params, x: run(params, stats, x), params, x, has_aux=True)
    slopes, dx = pullback(jnp.asarray(golden["dy"]))
    np.testing.assert_allclose(y, golden["y"], atol=2e-6)
    np.testing.assert_allclose(dx, golden["dx"], atol=2e-6)
    np.testing.assert_allclose(slopes["scale"][...], golden["dscale"], atol=2e-5)
    np.testing.assert_allclose(slopes["bias"][...], golden["dbias"], atol=2e-5)
    stats = run(params, stats, x * 2 + 1)[1]
    np.testing.assert_allclose(stats["mean"][...], golden["mean"], rtol=1e-6)
    np.testing.assert_allclose(stats["var"][...], golden["var"], rtol=1e-6)
    norm = nnx.merge(graphdef, params, stats)
    np.testing.assert_allclose(norm(x, EVALUATION), golden["y_eval"], atol=2e-6)


def test_batch_norm_of_a_large_mean_keeps_its_digits():
    """Values 1000 + {0, 1}: mean 1000.5, variance 0.25, so +-1; a mean of squares would lose the variance."""
    x = jnp.asarray(1000 + np.tile([0.0, 1.0], 32).reshape(4, 4, 4, 1), jnp.float32)
    y = BatchNorm(1)(x, TRAIN)
    np.testing.assert_allclose(np.abs(y), 1 / np.sqrt(0.25 + 1e-5) / 2, rtol=1e-5)


def test_what_batch_norm_makes_on_the_way_is_not_kept():
    """Of two layers' maps the gradient needs what each norm is given and what each activation gives, but of the last;
    XLA by itself keeps a third array of each layer.
    """
    x, weights = jnp.ones((4096, 64)), jnp.ones((2, 64, 64))

    def loss(x, weights):
        for kernel in weights:
            x = BatchNorm(64)(x @ kernel, TRAIN, then=jax.nn.relu6)
        return jnp.square(x).sum()

    def held(on):
        with cpu.switched(on):
            step = jax.jit(jax.grad(lambda x, weights: loss(x, weights), (0, 1)))
            return step.lower(x, weights).compile().memory_analysis().temp_size_in_bytes / x.nbytes

    assert held(True) < 5 < held(False)


def test_batch_norm_statistics_are_float32_in_bfloat16():
    """The mean of 4096 values of 1 or 1.0078125 is beyond bfloat16's 8 bits."""
    values = np.where(np.arange(4096) % 4 == 0, 1.0078125, 1.0).reshape(1, 64, 64, 1)
    norm = BatchNorm(1)
    norm.scale[...], norm.bias[...] = jnp.ones(1, jnp.bfloat16), jnp.zeros(1, jnp.bfloat16)
    y = norm(jnp.asarray(values, jnp.bfloat16), TRAIN)
    assert y.dtype == jnp.bfloat16
    assert norm.mean[...].dtype == jnp.float32
    np.testing.assert_allclose(norm.mean[...], 0.1 * values.mean(), rtol=1e-6)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * values.var(ddof=1), rtol=1e-6)


def test_batch_norm_measures_the_average_over_batches_in_evaluation():
    """As PyTorch with momentum=None: the mean over batches of their means and of their unbiased variances."""
    batches = np.random.default_rng(3).normal([5, -2], [1, 3], (4, 6, 2)).astype(np.float32)
    norm, held = BatchNorm(2), BatchNorm(2)
    held.use_running_average = True
    for count, batch in enumerate(batches):
        mode = Mode(momentum=jnp.float32(1 / (count + 1)))
        y = norm(jnp.asarray(batch), mode)
        held(jnp.asarray(batch), mode)
    np.testing.assert_allclose(norm.mean[...], batches.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(norm.var[...], batches.var(1, ddof=1).mean(0), rtol=1e-6)
    spread = np.sqrt(batches[-1].var(0) + 1e-5)
    np.testing.assert_allclose(y, (batches[-1] - batches[-1].mean(0)) / spread, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(held.mean[...], np.zeros(2))
    np.testing.assert_array_equal(held.var[...], np.ones(2))


def test_batch_norm_over_a_mapped_axis_is_that_of_the_whole_batch(golden):
    """Shards mapped by vmap share statistics, running statistics and gradients; pmap's semantics are the same."""
    graphdef, params, stats = nnx.split(norm_like(golden), nnx.Param, nnx.BatchStat)
    shards = jnp.asarray(golden["x"]).reshape(3, 2, 5, 4, 3)

    def run(x):
        norm = nnx.merge(graphdef, params, stats, copy=True)
        y = norm(x, Mode(train=True, axis_name="devices"))
        return y, norm.mean[...], norm.var[...]

    mapped = jax.jit(jax.vmap(run, axis_name="devices"))
    y, mean, var = mapped(shards)
    np.testing.assert_allclose(y.reshape(golden["y"].shape), golden["y"], atol=2e-6)
    whole = norm_like(golden)
    whole(jnp.asarray(golden["x"]), TRAIN)
    np.testing.assert_allclose(mean, np.tile(whole.mean[...], (3, 1)), rtol=1e-6)
    np.testing.assert_allclose(var, np.tile(whole.var[...], (3, 1)), rtol=1e-6)
    _, pullback = jax.vjp(lambda x: mapped(x)[0], shards)
    (dx,) = pullback(jnp.asarray(golden["dy"]).reshape(shards.shape))
    np.testing.assert_allclose(dx.reshape(golden["dx"].shape), golden["dx"], atol=2e-6)


@pytest.mark.parametrize("name", ["even", "odd"])
@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_max_pool_and_its_gradient_are_pytorchs_on_ties(name, backend, golden, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    y, pullback = jax.vjp(jax.jit(lambda x: max_pool(x)), jnp.asarray(golden[f"{name}.x"]))
    np.testing.assert_array_equal(y, golden[f"{name}.y"])
    (dx,) = pullback(jnp.asarray(golden[f"{name}.dy"]))
    np.testing.assert_allclose(dx, golden[f"{name}.dx"], atol=1e-6)


def test_max_pool_lets_nan_through():
    with jax.debug_nans(False):
        for place in range(4):
            x = np.ones((1, 4, 1, 1), np.float32)
            x[0, place] = np.nan
            assert np.isnan(max_pool(jnp.asarray(x))).any(), place


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_max_pool_at_stride_1(backend, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    expected = scipy.ndimage.maximum_filter(x, (1, 3, 3, 1), mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(max_pool(jnp.asarray(x), stride=1), expected)


@pytest.mark.parametrize("size", [(6, 5), (1, 2), (7, 1)])
def test_blur_pool_is_a_binomial_filter_with_reflected_edges(size):
    """scipy's "mirror" is PyTorch's "reflect"; it leaves an axis of one pixel as it is."""
    x = np.random.default_rng(0).normal(size=(2, *size, 3))
    expected = x
    for axis in (1, 2):
        expected = scipy.ndimage.correlate1d(expected, [0.25, 0.5, 0.25], axis, mode="mirror")
    y = blur_pool(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(y, expected[:, ::2, ::2], atol=1e-6)


def keys(count, seed=0):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(count))


def test_a_strided_convolution_pads_both_sides():
    """A 3 x 3 box of ones over ones, stride 2 on 4 x 4: output (i, j) counts the pixels inside the image."""
    layer = conv(1, 1, 3, stride=2, rngs=nnx.Rngs(0))
    layer.kernel[...] = jnp.ones((3, 3, 1, 1))
    np.testing.assert_array_equal(layer(jnp.ones((1, 4, 4, 1)))[0, :, :, 0], [[4, 6], [6, 9]])
    assert layer.bias is None


def test_kernels_are_drawn_as_kaiming_fan_out():
    """He et al. 2015: variance 2 / (outputs * kernel area); 5 standard errors of a normal's variance."""
    kernel = np.asarray(conv(32, 64, 5, rngs=nnx.Rngs(0)).kernel[...])
    expected = 2 / (64 * 25)
    assert abs(kernel.var() / expected - 1) < 5 * np.sqrt(2 / kernel.size)


def test_average_pool_accumulates_in_float32():
    """4096 ones in bfloat16 would sum to 256, where adding one no longer counts."""
    y = average_pool(jnp.ones((2, 64, 64, 3), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y.astype(jnp.float32), np.ones((2, 3)))


def test_gelu_is_x_times_the_normal_distribution_function():
    x = np.linspace(-8, 8, 401)
    np.testing.assert_allclose(gelu(jnp.asarray(x, jnp.float32)), x * scipy.stats.norm.cdf(x), atol=2e-6)
    assert gelu(jnp.ones(3, jnp.bfloat16)).dtype == jnp.bfloat16


def test_an_unfused_gradient_is_the_gradient_behind_a_conditional():
    """Where XLA learns to see through it, deep residual networks train slowly again."""

    def loss(x, end):
        return jnp.square(end(jnp.sin(x))).sum()

    x = jnp.arange(6.0).reshape(2, 3)
    slope = jax.jit(jax.grad(lambda x: loss(x, unfused_gradient)))
    np.testing.assert_allclose(slope(x), jax.grad(lambda x: loss(x, lambda y: y))(x), atol=1e-6)
    assert ("conditional" in slope.lower(x).compile().as_text()) == (jax.default_backend() == "cpu")
