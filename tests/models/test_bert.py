"""BERT: shapes, counts, padding and fields; its numbers are held to transformers in tests/weights."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.models.bert import Bert
from jaxlab.nn.attention import dot_product_attention

TINY = Bert(layers=2, width=16, heads=2, vocabulary=20, positions=8)


@partial(jax.jit, static_argnums=0)
def features(config, ids, mask):
    return config.build(initial_rngs(0))(ids, mask, EVALUATION)


def test_features_come_embeddings_to_pool():
    names, ids = [], jnp.zeros((3, 5), jnp.int32)
    found = jax.eval_shape(lambda: TINY.build(initial_rngs(0))(ids, ids == 0, EVALUATION))
    jax.eval_shape(lambda: names.extend(TINY.build(initial_rngs(0))(ids, ids == 0, EVALUATION)))
    assert names == ["embeddings", "layer0", "layer1", "pool"]
    assert [found[name].shape for name in names] == [(3, 5, 16)] * 3 + [(3, 16)]


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({}, 22_713_216 - 384 * 385),  # transformers' count of MiniLM-L6, without the pooler
        ({"layers": 12, "width": 768}, 109_482_240 - 768 * 769),  # and of bert-base-uncased
    ],
)
def test_parameters_are_as_many_as_transformers(fields, parameters):
    module = nnx.eval_shape(lambda: Bert(**fields).build(initial_rngs(0)))
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == parameters


def test_bfloat16_in_bfloat16_out():
    graphdef, params = nnx.split(nnx.eval_shape(lambda: TINY.build(initial_rngs(0))), nnx.Param)
    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)
    ids = jnp.zeros((2, 4), jnp.int32)
    found = jax.eval_shape(lambda params: nnx.merge(graphdef, params)(ids, ids == 0, EVALUATION), low)
    assert {leaf.dtype for leaf in found.values()} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 100}, "a width that is a multiple of heads, found 100 and 12"),
        ({"layers": 0}, r"Bert\.layers: .*found 0"),
        ({"dropout": 1.0}, r"Bert\.dropout: .*found 1\.0"),
        ({"pooling": "max"}, r"Bert\.pooling: .*'max'"),
    ],
)
def test_fields_that_contradict_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Bert(**fields)


def test_more_tokens_than_positions_are_refused():
    ids = jnp.zeros((1, 9), jnp.int32)
    with pytest.raises(UserError, match="at most 8 tokens a text, found 9"):
        jax.eval_shape(lambda: TINY.build(initial_rngs(0))(ids, ids == 0, EVALUATION))


def test_attention_leaves_masked_tokens_out():
    """Beside attention over the others alone."""
    rng = np.random.default_rng(0)
    q, k, v = (jnp.asarray(rng.normal(size=(1, 5, 2, 4)), jnp.float32) for _ in range(3))
    found = dot_product_attention(q, k, v, jnp.array([[True, False, True, True, False]]))
    kept = jnp.array([0, 2, 3])
    np.testing.assert_allclose(found, dot_product_attention(q, k[:, kept], v[:, kept]), atol=1e-6)


@pytest.mark.slow
def test_padding_has_no_effect_and_a_text_of_padding_is_finite():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 20, (2, 6)).astype(np.int32)
    mask = np.arange(6)[None] < np.array([[4], [0]])
    found = features(TINY, ids, mask)
    others = np.where(mask, ids, (ids + 7) % 20)
    assert (others != ids).any()
    same = features(TINY, others, mask)
    np.testing.assert_array_equal(found["layer1"][0, :4], same["layer1"][0, :4])
    np.testing.assert_array_equal(found["pool"][0], same["pool"][0])
    np.testing.assert_allclose(found["pool"][0], found["layer1"][0, :4].mean(0), atol=1e-6)
    np.testing.assert_array_equal(found["pool"][1], np.zeros(16))
    assert np.isfinite(found["layer1"]).all()


@pytest.mark.slow
def test_dropout_follows_the_rows_keys():
    config = Bert(layers=1, width=16, heads=2, vocabulary=20, positions=8, dropout=0.3)
    keys = jax.random.split(jax.random.key(0), 2)[jnp.array([0, 1, 1])]
    ids = jnp.ones((3, 4), jnp.int32)
    run = jax.jit(lambda mode: config.build(initial_rngs(0))(ids, ids == 1, Mode(train=True, row_keys=mode)))
    found = run(keys)["pool"]
    np.testing.assert_array_equal(found[1], found[2])
    assert not np.array_equal(found[0], found[1])
