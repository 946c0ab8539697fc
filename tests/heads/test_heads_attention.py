"""Attention over positions against loops in float64: a query a target, shared ones, one a group."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readouts import SHAPES, built, evaluated, features_of, names, shapes_of, training
from scipy.special import softmax

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.heads import Attention, RetinaMap, Sum, build_network, chunks
from jaxlab.heads.attention import sines
from jaxlab.models import ViT

TOKENS = {**SHAPES, "tokens": (4, 3)}
FEATURES = features_of(3, TOKENS)
LAYERS = ("first", "tokens", "last")  # a map, tokens in a row, and a vector
WIDTH, HEADS, TARGETS = 8, 2, 5


def flat(module):
    return {path: np.asarray(leaf, np.float64) for path, leaf in tree.flatten(nnx.state(module)).items()}


def place(y, x, sizes):
    """DETR's sine embedding of one position, with its sines beside one another: (d,)."""
    found = []
    for number, size in zip((y, x), sizes, strict=True):
        angle = 2 * np.pi * (number + 1) / size
        slow = [10_000 ** (k / (WIDTH // 4)) for k in range(WIDTH // 4)]
        found += [np.sin(angle / s) for s in slow] + [np.cos(angle / s) for s in slow]
    return np.array(found)


def tokens_of(values, positions):
    """Per image (n, d) keys and values of all layers' positions, rows first."""
    keys, contents = [[] for _ in range(3)], [[] for _ in range(3)]
    for name in LAYERS:
        x = np.asarray(FEATURES[name], np.float64)
        sizes = {"first": (4, 5), "tokens": (4, 1), "last": (1, 1)}[name]
        for b, image in enumerate(x.reshape(3, *sizes, -1)):
            for n, (y, z) in enumerate(np.ndindex(sizes)):
                key = image[y, z] @ values[f"layers.{name}.key"]
                if positions == "sincos" and name != "last":
                    key = key + place(y, z, sizes)
                if positions == "learned":
                    key = key + values[f"layers.{name}.place"][n]
                keys[b].append(key)
                contents[b].append(image[y, z] @ values[f"layers.{name}.value"])
    return np.array(keys), np.array(contents)


def expected_of(module, config, mix):
    """mix: (t, q) how much of each query's finding a target reads."""
    values = flat(module)
    keys, contents = tokens_of(values, config.positions)
    size, found = WIDTH // HEADS, np.tile(values["bias"], (3, 1))
    for t in range(TARGETS):
        for b in range(3):
            for q, share in enumerate(mix[t]):
                for h in range(HEADS):
                    own = slice(h * size, (h + 1) * size)
                    scores = keys[b][:, own] @ values["query"][q, own] / np.sqrt(size)
                    seen = softmax(scores) @ contents[b][:, own]
                    found[b, t] += share * seen @ values["weight"][t, own]
    return found


CASES = {
    "a query a target": ({}, EVALUATION),
    "learned positions, in training": ({"positions": "learned"}, training(3)),
    "shared": ({"queries": 2, "positions": "none"}, EVALUATION),
    "groups": ({"queries": ("n[03]", "n[124]")}, EVALUATION),
}


@pytest.mark.parametrize("limit", [2**20, 30], ids=["at once", "chunks"])
@pytest.mark.parametrize(("fields", "mode"), CASES.values(), ids=CASES)
def test_outputs_are_what_queries_find(fields, mode, limit, monkeypatch):
    monkeypatch.setattr(chunks, "CPU_LIMIT", limit)
    config = Attention(layer=LAYERS, normalize=False, width=WIDTH, heads=HEADS, **fields)
    module = built(config, TARGETS, TOKENS)
    mix = np.eye(TARGETS)
    if fields.get("queries") == 2:
        mix = softmax(flat(module)["select"], 1)
    elif "queries" in fields:
        mix = np.eye(2)[[0, 1, 1, 0, 1]]
    expected = expected_of(module, config, mix)
    np.testing.assert_allclose(evaluated(module, FEATURES, mode), expected, rtol=1e-4, atol=1e-4)


def test_positions_of_a_map_are_rows_and_columns():
    found = sines([3, 2], WIDTH)
    np.testing.assert_allclose(found, [place(y, x, (3, 2)) for y in range(3) for x in range(2)], atol=1e-6)


def test_a_query_that_looks_at_one_place_reads_it_alone():
    """What no target asks for has no effect, however large: the softmax is over all tokens together."""
    module = built(Attention(layer="first", normalize=False, width=4, heads=1, positions="learned"), 1)
    tokens = module.layers["first"]
    tokens.key[...] *= 0
    tokens.place[...] = jnp.zeros((20, 4)).at[7, 0].set(100)
    module.query[...] = jnp.asarray([[10.0, 0, 0, 0]])
    expected = (
        np.asarray(FEATURES["first"])[:, 1, 2]
        @ np.asarray(tokens.value[...])
        @ np.asarray(module.weight[...]).T
    )
    np.testing.assert_allclose(
        evaluated(module, FEATURES), expected + np.asarray(module.bias[...]), rtol=1e-4
    )


def test_maps_and_tokens_of_a_transformer_are_read_together():
    """Patches of two blocks and the class token: traced alone, with 39,548 targets."""
    layers, targets = ("block2", "map", "cls"), names(39_548)
    head = Sum(heads=(Attention(layer=layers), RetinaMap(layer=layers)))
    network = nnx.eval_shape(lambda: build_network(ViT(size="tiny"), head, (32, 32, 3), targets, nnx.Rngs(0)))
    mode = Mode(train=True, row_keys=jax.random.split(jax.random.key(0), 2))
    outputs = nnx.eval_shape(lambda network, x: network(x, mode), network, jnp.zeros((2, 32, 32, 3)))
    assert outputs.shape == (2, 39_548)
    for each in network.head.heads:
        assert set(each.layers) == set(layers)
        assert each.weight.shape == (39_548, 128)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 6, "heads": 4}, "Attention.width: expected a multiple of its 4 heads, found 6"),
        ({"width": 6, "heads": 3}, 'Attention.width: expected a multiple of 4 for positions="sincos", found 6'),
        ({"queries": 0}, "Attention.queries: expected one or more, found 0"),
        ({"queries": ()}, "Attention.queries: expected one or more, found ()"),
        ({"queries": ("n(",)}, "Attention.queries: expected each to be a regular expression, found 'n('"),
        ({"queries": ("n0", "n[01]")}, "Attention.queries: expected each of 5 targets to match exactly one expression, "
         "found 1 targets that several expressions match (n0); 3 targets that no expression matches (n2, n3, n4)"),
        ({"queries": True}, "Attention.queries: expected int | tuple[str, ...] | None, found True"),
        ({"layer": "volume"}, "of (h, w, c) positions, (n, c) tokens or (c,) vectors, found volume (2, 2, 2, 3)"),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(fields, message):
    shapes = shapes_of({"volume": (2, 2, 2, 3), **SHAPES})
    with pytest.raises(UserError, match=re.escape(message)):
        Attention(**fields).build(shapes, names(TARGETS), nnx.Rngs(0))
