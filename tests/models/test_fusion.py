"""Fusions of an image's layer with a question's against their formulas in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import erf, softmax

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.models import Fusion
from jaxlab.nn.positions import sines

SHAPES = {
    "image/map": (2, 3, 5),
    "image/pool": (5,),
    "text/words": (4, 6),
    "text/pool": (6,),
    "text/mask": (4,),
}
MASK = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
RNG = np.random.default_rng(0)
FEATURES = {name: RNG.normal(size=(3, *shape)) for name, shape in SHAPES.items()} | {"text/mask": MASK}
WIDTH = 8


def fused(**fields):
    """(b, width) of a fusion whose parameters are all drawn anew, and these."""
    config = Fusion(width=WIDTH, heads=2, **fields)
    graphdef, state = nnx.split(nnx.eval_shape(lambda: config.build(SHAPES, nnx.Rngs(0))))
    rng = np.random.default_rng(1)
    flat = {path: rng.normal(size=leaf.shape) for path, leaf in tree.flatten(state).items()}
    flat |= {path: np.abs(leaf) + 0.5 for path, leaf in flat.items() if path.endswith("var")}

    @jax.jit
    def run(flat, features):
        return nnx.merge(graphdef, tree.unflatten(flat, state))(features, EVALUATION)

    narrow = {path: jnp.asarray(leaf, "float32") for path, leaf in flat.items()}
    seen = {k: jnp.asarray(v, "float32") if v.dtype == float else jnp.asarray(v) for k, v in FEATURES.items()}
    return np.asarray(run(narrow, seen)), flat


def linear(x, flat, name):
    return x @ flat[f"{name}.kernel"] + flat[f"{name}.bias"]


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2))) / 2


def layer_norm(x, flat, name):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-6) * flat[f"{name}.scale"] + flat[f"{name}.bias"]


def mean_words():
    return np.stack([words[mask].mean(0) for words, mask in zip(FEATURES["text/words"], MASK, strict=True)])


@pytest.mark.parametrize("how", ["product", "concatenate"])
def test_two_vectors_become_one(how):
    found, flat = fused(how=how, image="image/map", text="text/words", depth=1, normalize=False)
    image, text = FEATURES["image/map"].mean((1, 2)), mean_words()
    if how == "product":
        x = np.tanh(linear(image, flat, "fuse.image")) * np.tanh(linear(text, flat, "fuse.text"))
    else:
        both = np.concatenate([flat["fuse.image.kernel"], flat["fuse.text.kernel"]])
        bias = flat["fuse.image.bias"] + flat["fuse.text.bias"]
        x = gelu(np.concatenate([image, text], 1) @ both + bias)
    np.testing.assert_allclose(found, gelu(linear(x, flat, "hidden.0")), atol=2e-5)


def test_frozen_features_are_normalised_first():
    found, flat = fused(depth=0)  # the last layers below image/ and text/
    parts = []
    for number, name in enumerate(("image", "text")):
        mean, var = flat[f"norms.{number}.mean"], flat[f"norms.{number}.var"]
        normal = (FEATURES[f"{name}/pool"] - mean) / np.sqrt(var + 1e-3)
        parts.append(np.tanh(linear(normal, flat, f"fuse.{name}")))
    np.testing.assert_allclose(found, parts[0] * parts[1], atol=2e-5)


def test_padding_has_no_part_in_what_tokens_are_normalised_by():
    config = Fusion(width=WIDTH, text="text/words")
    graphdef, state = nnx.split(nnx.eval_shape(lambda: config.build(SHAPES, nnx.Rngs(0))))
    flat = {path: jnp.zeros(leaf.shape) for path, leaf in tree.flatten(state).items()}

    @jax.jit
    def trained(features):
        network = nnx.merge(graphdef, tree.unflatten(flat, state))
        network(features, Mode(train=True))
        return network.norms[1].mean[...], network.norms[1].var[...]

    shown = FEATURES["text/words"][MASK]  # (8, 6)
    seen = {k: jnp.asarray(v, "float32") if v.dtype == float else jnp.asarray(v) for k, v in FEATURES.items()}
    mean, var = trained(seen)
    np.testing.assert_allclose(mean, 0.1 * shown.mean(0), atol=1e-6)
    np.testing.assert_allclose(var, 0.1 * shown.var(0, ddof=1), atol=1e-6)


@pytest.mark.parametrize("text", ["text/words", "text/pool"])
def test_a_question_looks_at_positions(text):
    found, flat = fused(how="attention", image="image/map", text=text, depth=0, normalize=False)
    place = sines([2, 3], WIDTH)  # which have a test of their own
    for row in range(3):
        seen = linear(FEATURES["image/map"][row].reshape(6, 5), flat, "fuse.image")
        x = linear(np.atleast_2d(FEATURES[text][row]), flat, "fuse.text")
        block = "fuse.blocks.0"
        query = linear(layer_norm(x, flat, f"{block}.norm1"), flat, f"{block}.query")
        key, value = linear(seen + place, flat, f"{block}.key"), linear(seen, flat, f"{block}.value")
        heads = [slice(0, 4), slice(4, 8)]
        each = [softmax(query[:, h] @ key[:, h].T / np.sqrt(4), axis=1) @ value[:, h] for h in heads]
        x = x + linear(np.concatenate(each, 1), flat, f"{block}.proj")
        hidden = gelu(linear(layer_norm(x, flat, f"{block}.norm2"), flat, f"{block}.fc1"))
        x = layer_norm(x + linear(hidden, flat, f"{block}.fc2"), flat, "fuse.norm")
        expected = x[MASK[row]].mean(0) if text == "text/words" else x[0]
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": "map"}, r"Fusion.image: no layer 'map'; there are image/map, image/pool, text/words"),
        (
            {"how": "attention"},
            r"attention needs a layer with positions, found 'image/pool' \(5,\); those that have some: image/map",
        ),
        (
            {"text": "image/map"},
            r"Fusion.text: expected a layer of \(n, d\) tokens or \(d,\), found 'image/map'",
        ),
    ],
)
def test_layers_that_do_not_fit_are_named(fields, words):
    with pytest.raises(UserError, match=words):
        Fusion(**fields).layers(SHAPES)


def test_without_an_image_or_a_text_it_is_said():
    with pytest.raises(
        UserError, match=r"Fusion.text: no layer that begins with 'text/'; there are image/pool$"
    ):
        Fusion().layers({"image/pool": (5,)})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"how": "attention", "width": 6}, r"expected a multiple of 4 and of its 4 heads, found 6"),
        ({"depth": -1}, r"Fusion.depth: expected 0 or more, found -1"),
        ({"dropout": 1.0}, r"Fusion.dropout: expected a share in \[0, 1\), found 1.0"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Fusion(**fields)
