"""BERT in transformers' layout: its outputs beside the reference's, and what files that do not fit are answered."""

import json
from functools import cache

import jax
import numpy as np
import pytest
from flax import nnx
from reference.files import state_dict
from reference.networks import GOLDEN
from safetensors.numpy import save_file

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.models import Bert
from jaxlab.weights import load_pretrained

TINY = Bert(layers=3, width=32, heads=4, vocabulary=60, positions=16)


@cache
def shapes(config):
    graphdef, params = nnx.split(nnx.eval_shape(lambda: config.build(initial_rngs(0))), nnx.Param)
    return graphdef, params, tree.flatten(params)


def load(config, folder, source):
    save_file(source, folder / "model.safetensors")
    return load_pretrained(config, str(folder), shapes(config)[2], {})


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("name", ["bert_tiny", "bert_tiny_mlm"])
def test_features_are_those_of_transformers(name, pooling, tmp_path):
    """At padded tokens too, which attend to the others as those do."""
    config = Bert(
        **{f: getattr(TINY, f) for f in ("layers", "width", "heads", "vocabulary", "positions")},
        pooling=pooling,
    )
    golden = np.load(GOLDEN / f"{name}.npz")
    params, _, record = load(config, tmp_path, state_dict(name))
    assert record["layout"] == "transformers"
    graphdef, template, _ = shapes(config)
    forward = jax.jit(
        lambda params, ids, mask: nnx.merge(graphdef, tree.unflatten(params, template))(ids, mask, EVALUATION)
    )
    found = forward(params, golden["ids"], golden["mask"])
    for ours in ("embeddings", "layer0", "layer1", "layer2", "pool"):
        wanted = golden[pooling if ours == "pool" else ours]
        assert wanted.std() > 0.01
        np.testing.assert_allclose(
            found[ours], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max(), err_msg=ours
        )


def test_the_pooler_and_the_language_model_are_skipped_and_counted(tmp_path):
    source = state_dict("bert_tiny")
    source["embeddings.position_ids"] = np.arange(16)[None]
    params, _, record = load(TINY, tmp_path, source)
    assert record["skipped"] == {
        "the pooler, of next-sentence prediction alone": 2,
        "the numbers of the positions": 1,
    }
    assert record["used"] == len(params) == len(source) - 3
    assert record["stem"] is None
    np.testing.assert_array_equal(
        params["layers.1.fc1.kernel"], source["encoder.layer.1.intermediate.dense.weight"].T
    )
    _, _, record = load(TINY, tmp_path, state_dict("bert_tiny_mlm"))
    assert record["skipped"] == {"the file's classifier": 5}


def test_layer_norms_named_in_tensorflow_load_too(tmp_path):
    new = state_dict("bert_tiny")
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for key, value in new.items()
    }
    assert old.keys() != new.keys()
    params = load(TINY, tmp_path, old)[0]
    np.testing.assert_array_equal(
        params["layers.2.norm1.bias"], new["encoder.layer.2.attention.output.LayerNorm.bias"]
    )


def test_renamed_attention_weights_are_refused(tmp_path):
    """transformers itself leaves such weights random without a word when it is not strict."""
    source = {
        key.replace("self.query", "self.q_proj").replace("self.key", "self.k_proj"): value
        for key, value in state_dict("bert_tiny").items()
    }
    with pytest.raises(UserError) as caught:
        load(TINY, tmp_path, source)
    assert "12 not expected in the file: encoder.layer.0.attention.self." in str(caught.value)
    assert "12 missing from the file: layers.0.key.bias" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layers": 2}, r"looks like Bert\(layers=3\), the config is Bert\(layers=2\)$"),
        (
            {"width": 64, "vocabulary": 61},
            r"looks like Bert\(width=32, vocabulary=60\), the config is .*61\)$",
        ),
        ({"positions": 20}, r"positions.embedding \(16, 32\), the model's is \(20, 32\)\)$"),
    ],
)
def test_another_size_is_recognised(fields, words, tmp_path):
    sizes = {"layers": 3, "width": 32, "heads": 4, "vocabulary": 60, "positions": 16} | fields
    with pytest.raises(UserError, match=words):
        load(Bert(**sizes), tmp_path, state_dict("bert_tiny"))


def test_another_network_is_recognised(tmp_path):
    with pytest.raises(UserError, match="does not look like a BERT of transformers"):
        load(TINY, tmp_path, {"wte.weight": np.zeros((60, 32), np.float32)})


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"num_attention_heads": 8}, "num_attention_heads is 8, expected 4"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new', expected 'gelu'"),
        (
            {"layer_norm_eps": 1e-5, "model_type": "roberta"},
            "model_type is 'roberta'.*layer_norm_eps is 1e-05",
        ),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ],
)
def test_a_network_with_the_same_names_is_refused_by_its_config(described, words, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=f"describes another network: .*{words}"):
        load(TINY, tmp_path, state_dict("bert_tiny"))
