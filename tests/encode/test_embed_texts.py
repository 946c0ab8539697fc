"""Embeddings of texts: batching changes nothing, and a tokenizer of another model is refused."""

import jax
import numpy as np
import pytest
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.data.readers.tokens import Tokens
from jaxlab.encode.text import embed_texts
from jaxlab.models import Bert

CONFIG = Bert(layers=1, width=8, heads=2, vocabulary=20, positions=12)


@pytest.mark.slow
def test_batches_give_what_one_text_alone_gives():
    params = jax.jit(lambda: nnx.state(CONFIG.build(initial_rngs(0)), nnx.Param))()
    rng = np.random.default_rng(0)
    mask = np.arange(10)[None] < np.array([3, 10, 1, 7, 4])[:, None]
    ids = np.where(mask, rng.integers(0, 20, mask.shape), 0).astype(np.int32)
    found = embed_texts(CONFIG, tree.flatten(params), Tokens(ids, mask, 0), batch_size=2, multiple=5)
    assert (found.shape, found.dtype) == ((5, 8), np.float32)
    graphdef = nnx.split(nnx.eval_shape(lambda: CONFIG.build(initial_rngs(0))))[0]
    forward = jax.jit(lambda ids: nnx.merge(graphdef, params)(ids, ids >= 0, EVALUATION)["pool"])
    for row in (0, 1, 4):
        alone = forward(ids[row : row + 1, mask[row]])
        np.testing.assert_allclose(found[row], alone[0], atol=1e-5)


def test_no_texts_have_no_embeddings():
    nothing = Tokens(np.zeros((0, 0), np.int32), np.zeros((0, 0), bool), 0)
    assert embed_texts(CONFIG, {}, nothing).shape == (0, 8)


def test_ids_that_the_model_has_not_are_refused():
    tokens = Tokens(np.array([[2, 20]], np.int32), np.ones((1, 2), bool), 0)
    with pytest.raises(UserError, match=r"greatest token id, 20, found 20; the tokenizer is another model's"):
        embed_texts(CONFIG, {}, tokens)
