"""Inverted residuals, in a network of three that has every part: what training changes, dtypes, stochastic depth."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference.shapes import drawn

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.models.mbconv import MBConvNet, MBConvSpec, SqueezeExcite, Style

BLOCKS = (
    MBConvSpec(8, 8, 3, 1, 1, squeeze=2),
    MBConvSpec(8, 16, 5, 2, 6, squeeze=2),
    MBConvSpec(16, 16, 3, 1, 6),
)
STYLE = Style(jax.nn.silu, "tensorflow")


def build(drop_path=0.0):
    return MBConvNet(
        BLOCKS, STYLE, in_channels=3, head=24, classes=0, drop_path=drop_path, rngs=initial_rngs(0)
    )


def split(drop_path=0.0):
    """graphdef, params and stats, of shapes only."""
    return nnx.split(nnx.eval_shape(lambda: build(drop_path)), nnx.Param, nnx.BatchStat)


def test_bfloat16_in_bfloat16_out_and_float32_statistics():
    graphdef, params, stats = split()
    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)

    def run(params, stats, images, train):
        module = nnx.merge(graphdef, params, stats, copy=True)
        return module(images, Mode(train=train)), nnx.state(module, nnx.BatchStat)

    for train in (False, True):
        images = jnp.zeros((2, 32, 32, 3), jnp.bfloat16)
        features, new = jax.eval_shape(partial(run, train=train), low, stats, images)
        assert {leaf.dtype for leaf in features.values()} == {jnp.dtype("bfloat16")}
        assert {leaf.dtype for leaf in jax.tree.leaves(new)} == {jnp.dtype("float32")}


def test_squeeze_and_excitation_by_hand():
    """Gates are sigmoid(W2 silu(W1 means + b1) + b2)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    module = SqueezeExcite(4, 2, STYLE, initial_rngs(0))
    module.reduce.bias[...], module.expand.bias[...] = (
        jnp.array([0.3, -0.2]),
        jnp.array([0.1, 0.2, -0.3, 0.4]),
    )
    first, second = (np.asarray(layer.kernel[...])[0, 0] for layer in (module.reduce, module.expand))
    hidden = x.mean((1, 2)) @ first + np.array([0.3, -0.2])
    gates = 1 / (1 + np.exp(-((hidden / (1 + np.exp(-hidden))) @ second + np.array([0.1, 0.2, -0.3, 0.4]))))
    np.testing.assert_allclose(module(jnp.asarray(x)), x * gates[:, None, None], rtol=1e-5, atol=1e-6)


def test_stochastic_depth_needs_keys():
    with pytest.raises(ValueError, match="row_keys"):
        jax.eval_shape(lambda x: build(0.5)(x, Mode(train=True)), jnp.zeros((2, 8, 8, 3)))


def test_only_blocks_with_a_shortcut_are_dropped():
    """The first has rate 0; the second changes the shape, so nothing would be left of a dropped row."""

    def draws(k):
        keys = jax.random.split(jax.random.key(0), 2)
        images = jnp.zeros((2, 8, 8, BLOCKS[k].in_channels))
        run = jax.make_jaxpr(lambda x, keys: build(0.5).blocks[k](x, Mode(train=True, row_keys=keys)))
        return any(equation.outvars[0].aval.shape == (2, 1, 1, 1) for equation in run(images, keys).eqns)

    assert [draws(k) for k in range(3)] == [False, False, True]


@pytest.mark.slow
def test_training_moves_every_statistic_and_reaches_every_parameter():
    graphdef, params, stats = split(0.2)
    params, stats = drawn(params), drawn(stats)

    @jax.jit
    def step(params, stats, images, keys):
        def loss(params):
            module = nnx.merge(graphdef, params, stats, copy=True)
            features = module(images, Mode(train=True, row_keys=keys))
            return jnp.square(features["pool"] - 1).mean(), nnx.state(module, nnx.BatchStat)

        return jax.grad(loss, has_aux=True)(params)

    images = jax.random.normal(jax.random.key(0), (4, 12, 12, 3))
    slopes, new = step(params, stats, images, jax.random.split(jax.random.key(1), 4))
    for path, slope in tree.flatten(slopes).items():
        assert np.abs(slope).max() > 0, path
    old = tree.flatten(stats)
    for path, value in tree.flatten(new).items():
        assert not np.array_equal(value, old[path]), path


@pytest.mark.slow
def test_a_dropped_row_is_its_shortcut():
    """At a rate near 1 the last block leaves nearly all rows as they came."""

    graphdef, params, stats = split(0.99)

    @jax.jit
    def run(params, stats, images, keys=None):
        mode = EVALUATION if keys is None else Mode(train=True, row_keys=keys)
        found = nnx.merge(graphdef, params, stats, copy=True)(images, mode)
        return found["block1"], found["block2"]

    images = jax.random.normal(jax.random.key(0), (8, 8, 8, 3))
    keys = jax.random.split(jax.random.key(1), 8)
    before, after = run(drawn(params), drawn(stats), images, keys)
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(same) >= 6
    before, after = run(drawn(params), drawn(stats), images)
    assert not np.array_equal(before, after)
