"""ShallowCNN: its features, its fields, and what its training depends on."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.models.shallow_cnn import ShallowCNN

TINY = ShallowCNN(channels=(4, 6), kernel_sizes=(5, 3))


def shapes(config, channels=3):
    """graphdef, params and stats, of shapes only."""
    return nnx.split(
        nnx.eval_shape(lambda: config.build(channels, initial_rngs(0))), nnx.Param, nnx.BatchStat
    )


@partial(jax.jit, static_argnums=(0, 1))
def filled(config, value, images, row_keys=None):
    """The features of a model whose kernels hold `value` everywhere."""
    graphdef, params, stats = shapes(config, images.shape[-1])
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, value if len(leaf.shape) == 4 else 0), params)
    module = nnx.merge(graphdef, params, jax.tree.map(lambda leaf: jnp.ones(leaf.shape), stats))
    return module(images, Mode(train=row_keys is not None, row_keys=row_keys))


@pytest.mark.parametrize(("shape", "channels"), [((2, 32, 32, 3), 3), ((1, 7, 10, 1), 1)])
def test_features_by_level_at_any_size(shape, channels):
    module = jax.eval_shape(
        lambda images: TINY.build(channels, initial_rngs(0))(images, EVALUATION), jnp.zeros(shape)
    )
    b, h, w, _ = shape
    half, quarter = (-(-h // 2), -(-w // 2)), (-(-h // 4), -(-w // 4))
    found = {name: leaf.shape for name, leaf in module.items()}
    assert found == {"level1": (b, *half, 4), "level2": (b, *quarter, 6), "pool": (b, 6)}


def test_features_come_stem_to_pool():
    names = []
    images = jnp.zeros((1, 8, 8, 3))
    jax.eval_shape(lambda x: names.extend(TINY.build(3, initial_rngs(0))(x, EVALUATION)), images)
    assert names == ["level1", "level2", "pool"]


@pytest.mark.parametrize(
    ("norm", "leaves"),
    [
        ("batch", {"conv.kernel", "norm.scale", "norm.bias"}),
        ("layer", {"conv.kernel", "norm.scale", "norm.bias"}),
        ("none", {"conv.kernel", "conv.bias"}),
    ],
)
def test_convolutions_have_a_bias_only_without_a_norm(norm, leaves):
    _, params, stats = shapes(ShallowCNN(channels=(4,), kernel_sizes=(3,), norm=norm))
    assert {
        ".".join(map(str, path)).removeprefix("levels.0.") for path, _ in nnx.to_flat_state(params)
    } == leaves
    assert bool(jax.tree.leaves(stats)) == (norm == "batch")


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("relu", 0.0), ("gelu", -0.15865525), ("silu", -0.26894143), ("elu", -0.6321206)],
)
def test_activations_are_the_named_ones(activation, expected):
    """One level whose kernel makes -1 of every pixel; gelu(-1) = -Phi(-1), silu(-1) = -sigmoid(-1), elu = e^-1 - 1."""
    config = ShallowCNN(channels=(1,), kernel_sizes=(1,), norm="none", activation=activation)
    np.testing.assert_allclose(filled(config, -1.0, jnp.ones((1, 4, 4, 1)))["pool"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channels": (8, 8)}, r"channels=\(8, 8\) and kernel_sizes=\(5, 3, 3\)"),
        ({"channels": (), "kernel_sizes": ()}, "one a level"),
        ({"kernel_sizes": (5, 4, 3)}, r"odd sizes, found \(5, 4, 3\)"),
        ({"channels": (8, 0, 8)}, r"1 or more in each level, found \(8, 0, 8\)"),
        ({"dropout": 1.0}, r"\[0, 1\), found 1\.0"),
        ({"activation": "rellu"}, "rellu"),
    ],
)
def test_fields_that_contradict_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        ShallowCNN(**fields)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_bfloat16_in_bfloat16_out_and_float32_statistics(norm):
    graphdef, params, stats = shapes(ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), norm=norm, dropout=0.1))

    def run(params, stats, images, row_keys):
        module = nnx.merge(graphdef, params, stats, copy=True)
        return module(images, Mode(train=True, row_keys=row_keys)), nnx.state(module, nnx.BatchStat)

    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)
    images = jnp.zeros((2, 8, 8, 3), jnp.bfloat16)
    features, stats = jax.eval_shape(run, low, stats, images, jax.random.split(jax.random.key(0), 2))
    assert {leaf.dtype for leaf in features.values()} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves(stats)} <= {jnp.dtype("float32")}


@pytest.mark.slow
def test_dropout_masks_differ_between_levels_and_rows_follow_their_keys():
    config = ShallowCNN(channels=(8, 8), kernel_sizes=(1, 1), norm="none", activation="relu", dropout=0.5)
    row_keys = jax.random.split(jax.random.key(1), 2)[jnp.array([0, 1, 1])]
    found = jax.device_get(filled(config, 1.0, jnp.ones((3, 4, 4, 1)), row_keys))
    np.testing.assert_array_equal(found["level2"][1], found["level2"][2])
    assert not np.array_equal(found["level1"][0], found["level1"][1])
    masks = [found[name][:, :1, :1] == 0 for name in ("level1", "level2")]
    assert not np.array_equal(*masks)
