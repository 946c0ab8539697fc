"""Texts of a column: each distinct one once, whatever its batch."""

import json

import jax
import numpy as np
import pytest
from encoding import pixels, samples
from flax import nnx
from rich.console import Console

from jaxlab.core.rng import initial_key
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.data.readers.tokens import Tokenizer
from jaxlab.encode import TextEncoder, features, load_all
from jaxlab.models import Bert

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "run", "##s", "cat"]
TEXTS = np.array(["a dog runs", "cat", "a dog runs", "a cat runs a dog", "dog"])
IDS = {  # by hand: [CLS] words [SEP]
    "a dog runs": [2, 5, 6, 7, 8, 3], "cat": [2, 9, 3], "a cat runs a dog": [2, 5, 9, 7, 8, 5, 6, 3], "dog": [2, 6, 3]
}  # fmt: skip
MODEL = Bert(layers=2, width=8, heads=2, vocabulary=10, positions=32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    pytest.importorskip("transformers", reason="transformers is not installed")
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return Tokenizer(source=str(folder))


def asked(**columns):
    return samples(pixels(5), columns=columns)


@pytest.mark.slow
def test_each_text_alone_gives_the_same(tokenizer):
    encoder = TextEncoder(
        model=MODEL, tokenizer=tokenizer, column="question", layers=("layer0", "pool"), name="q"
    )
    loaded = load_all((encoder,))
    found = features(loaded, asked(question=TEXTS), console=Console(quiet=True))
    assert list(found.kept) == ["q/layer0", "q/pool"]
    assert found.kept["q/pool"].array.shape == (4, 8)  # two of the five are the same
    assert found.kept["q/pool"].folder.path.joinpath("manifest.json").is_file()

    def build():
        return MODEL.build(nnx.Rngs(params=initial_key(0)))

    graphdef = nnx.split(nnx.eval_shape(build))[0]
    state = jax.jit(lambda: nnx.split(build())[1])()

    @jax.jit
    def alone(state, ids):
        outputs = nnx.merge(graphdef, state)(ids, ids >= 0, EVALUATION)
        return outputs["layer0"].mean(1), outputs["pool"]

    for row, text in enumerate(TEXTS):
        layer0, pool = alone(state, np.array([IDS[text]]))
        np.testing.assert_allclose(found["q/layer0"][row], layer0[0], atol=1e-5)
        np.testing.assert_allclose(found["q/pool"][row], pool[0], atol=1e-5)


@pytest.mark.slow
def test_what_does_not_fit_is_refused(tokenizer):
    encoder = TextEncoder(model=MODEL, tokenizer=tokenizer, column="question")
    with pytest.raises(UserError, match=r"no column 'question'; they have answer$"):
        features(load_all((encoder,)), asked(answer=TEXTS))
    with pytest.raises(
        UserError, match=r"TextEncoder.column: expected a column of texts, found 'question' of int64"
    ):
        features(load_all((encoder,)), asked(question=np.arange(5)))
    small = TextEncoder(model=Bert(layers=1, width=8, heads=2, vocabulary=9), tokenizer=tokenizer, column="q")
    with pytest.raises(UserError, match=r"greatest token id, 9, found 9; the tokenizer is another model's"):
        features(load_all((small,)), asked(q=TEXTS))
    with pytest.raises(
        UserError, match=r"Bert has no layer 'layer9'; it has embeddings, layer0, layer1, pool"
    ):
        TextEncoder(model=MODEL, tokenizer=tokenizer, column="q", layers=("layer9",)).load()
