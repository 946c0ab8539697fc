"""Heads made of heads: regions of interest, sums, squashed regression."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readouts import built, evaluated, features_of, shapes_of, training

from jaxlab.core import tree
from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import UserError
from jaxlab.heads import ROI, Factorized, Gaussian, Linear, LowRank, PerROI, Squashed, Sum

FEATURES = features_of(3)
TARGETS = ("V4_0", "V1_0", "IT_0", "V1_1", "V4_1", "V1_2")


def per_roi(**heads):
    return PerROI(
        parts=tuple(ROI(name=name, targets=f"{name}_.*", head=head) for name, head in heads.items())
    )


def test_each_roi_is_read_by_its_own_head_in_the_order_of_the_targets():
    head = per_roi(
        V1=Linear(layer="first"), V4=Gaussian(layer="second"), IT=LowRank(rank=2, layer=("first", "last"))
    )
    module = built(head, TARGETS)
    outputs = evaluated(module, FEATURES)
    for roi, columns in {"V1": [1, 3, 5], "V4": [0, 4], "IT": [2]}.items():
        np.testing.assert_array_equal(outputs[:, columns], evaluated(module.parts[roi], FEATURES))
    assert from_json(to_json(head)) == head


def test_one_model_an_roi_of_the_same_kind_is_one_model():
    """The same weights give the same outputs and the same penalty, however unequal the parts."""
    whole = built(Factorized(layer="first", l1_mask=1.0, l1_weight=2.0), TARGETS)
    split = built(
        per_roi(**{n: Factorized(layer="first", l1_mask=1.0, l1_weight=2.0) for n in ("V1", "V4", "IT")}),
        TARGETS,
    )
    for roi, columns in {"V1": [1, 3, 5], "V4": [0, 4], "IT": [2]}.items():
        mine, all_ = split.parts[roi], whole
        mine.bias[...] = all_.bias[...][jnp.array(columns)]
        for leaf in ("mask", "weight"):
            part = getattr(all_.layers["first"], leaf)[...]
            getattr(mine.layers["first"], leaf)[...] = part[jnp.array(columns)]
        for leaf in ("mean", "var"):
            getattr(mine.norms["first"], leaf)[...] = getattr(all_.norms["first"], leaf)[...]
    np.testing.assert_allclose(evaluated(split, FEATURES), evaluated(whole, FEATURES), rtol=1e-5)
    assert float(split.penalty()) == pytest.approx(float(whole.penalty()), rel=1e-6)


def test_a_sum_adds_outputs_and_penalties():
    module = built(Sum(heads=(Linear(), Gaussian(layer="first", l1=1.0), Gaussian(layer="first", l1=0.5))))
    parts = sum(evaluated(head, FEATURES) for head in module.heads)
    np.testing.assert_allclose(evaluated(module, FEATURES), parts, rtol=1e-5, atol=1e-6)
    norms = [np.abs(np.asarray(module.heads[k].layers["first"].weight[...])).sum() / 5 for k in (1, 2)]
    assert float(module.penalty()) == pytest.approx(norms[0] + 0.5 * norms[1], rel=1e-5)


@pytest.mark.parametrize("kind", ["sum", "rois"])
def test_the_parts_of_a_head_draw_apart(kind):
    """Two equal parts give the same in evaluation, and in training not: each has dropout masks of its own."""
    same = Linear(dropout=0.5)
    rois = PerROI(parts=tuple(ROI(name=name, targets=name, head=same) for name in ("a", "b")))
    head, targets = (Sum(heads=(same, same)), ("a",)) if kind == "sum" else (rois, ("a", "b"))
    module = built(head, targets, {"x": (50,)})
    parts = list(module.heads) if kind == "sum" else [module.parts[name] for name in module.names]
    for part, sign in zip(parts, (1, -1) if kind == "sum" else (1, 1), strict=True):
        part.layers["x"].kernel[...] = sign * jnp.ones((50, 1))
        part.bias[...] = jnp.zeros(1)
    apart = (lambda y: y[:, 0]) if kind == "sum" else (lambda y: y[:, 0] - y[:, 1])
    ones = {"x": jnp.ones((3, 50))}
    np.testing.assert_array_equal(apart(evaluated(module, ones)), np.zeros(3))
    assert np.all(apart(evaluated(module, ones, training(3))) != 0)


PARTS = {
    "no target": (("V1_.*", "V4_.*", "IT_.*", "V9_.*"), "1 parts that match no target (p3 ('V9_.*'))"),
    "several": (("V._.*", "V4_.*", "IT_.*"), "2 targets that several parts match (V4_0, V4_1)"),
    "none": (("IT_.*",), "5 targets that no part matches (V4_0, V1_0, V1_1, ...)"),
    "whole names": (("V1", "V4_.*", "IT_.*"), "1 parts that match no target (p0 ('V1')); 3 targets"),
}


@pytest.mark.parametrize(("patterns", "message"), PARTS.values(), ids=PARTS)
def test_targets_belong_to_exactly_one_part(patterns, message):
    parts = tuple(ROI(name=f"p{k}", targets=p, head=Linear()) for k, p in enumerate(patterns))
    expected = "PerROI.parts: expected each of 6 targets to match exactly one part, found "
    with pytest.raises(UserError, match=re.escape(expected) + ".*" + re.escape(message)):
        PerROI(parts=parts).build(shapes_of(), TARGETS, nnx.Rngs(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ROI(name="V1", targets="V1_(", head=Linear()), "ROI 'V1': expected targets to be a regular"),
        (lambda: PerROI(parts=()), "PerROI.parts: expected one or more of different names, found []"),
        (lambda: PerROI(parts=(ROI(name="a", targets=".", head=Linear()),) * 2), "found ['a', 'a']"),
        (lambda: Sum(heads=()), "Sum.heads: expected one or more, found none"),
        (lambda: Squashed(head=Linear(), scale=0.0), "Squashed.scale: expected more than 0, found 0.0"),
        (
            lambda: Squashed(head=Squashed(head=Linear())),
            "Squashed.head: expected a head that leaves its targets",
        ),
        (lambda: Sum(heads=(Linear(), Squashed(head=Linear()))), "Sum.heads.1: expected a head that leaves"),
        (
            lambda: per_roi(V1=Squashed(head=Linear())),
            "ROI 'V1': head: expected a head that leaves its targets",
        ),
    ],
)
def test_wrong_fields_are_named(make, message):
    with pytest.raises(UserError, match=re.escape(message)):
        make()


def test_squashed_outputs_are_tanh_of_normalised_ones():
    module = built(Squashed(head=Linear(layer="first")))
    module.norm.scale[...] *= 0.3  # float32 has few values left near 1
    inner = evaluated(module.inner, FEATURES).astype(np.float64)
    norm = {name: np.asarray(getattr(module.norm, name)[...]) for name in ("scale", "bias", "mean", "var")}
    z = (inner - norm["mean"]) / np.sqrt(norm["var"] + 1e-5) * norm["scale"] + norm["bias"]
    np.testing.assert_allclose(evaluated(module, FEATURES), np.tanh(z), rtol=1e-4, atol=1e-5)


def test_squashed_regression_is_that_of_the_recipe():
    """In training: a linear layer without bias, batch norm over the batch, tanh; targets through tanh too; float64."""
    head = Squashed(head=Linear(layer=("first", "last")), scale=2.0)
    module, features = built(head), features_of(50)
    module.norm.scale[...] *= 0.3
    assert not [path for path in tree.flatten(nnx.state(module)) if "inner" in path and "bias" in path]
    layers = {name: np.asarray(part.kernel[...], np.float64) for name, part in module.inner.layers.items()}
    x = sum(np.asarray(features[k], np.float64).reshape(50, -1) @ kernel for k, kernel in layers.items())
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    x = x * np.asarray(module.norm.scale[...]) + np.asarray(module.norm.bias[...])
    outputs = evaluated(module, features, training(50))
    np.testing.assert_allclose(outputs, np.tanh(x), rtol=1e-3, atol=1e-4)
    seen = np.abs(np.tanh(x)) < 0.99  # where float32 has digits left
    decoded = np.asarray(head.decode(jnp.asarray(outputs)))
    np.testing.assert_allclose(decoded[seen], 2 * x[seen], rtol=1e-2, atol=1e-3)
    z = np.random.default_rng(0).normal(size=(50, 5))
    np.testing.assert_allclose(head.encode(jnp.asarray(z, jnp.float32)), np.tanh(z / 2), rtol=1e-5)


def test_squashing_of_bfloat16_features_is_undone_as_well():
    """tanh(3) is 0.995: bfloat16 has nothing between 0.992 and 0.996, which are 2.8 and 3.1."""
    head = Squashed(head=Linear())
    module = jax.jit(lambda: head.build(shapes_of({"x": (1,)}), ("a",), nnx.Rngs(0)))()
    module.inner.layers["x"].kernel[...] = jnp.ones((1, 1))
    graphdef, params, stats = nnx.split(module, nnx.Param, nnx.BatchStat)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    z = jnp.linspace(-4, 4, 33, dtype=jnp.bfloat16)[:, None]  # each of them has an exact value
    outputs = evaluated(nnx.merge(graphdef, half, stats), {"x": z})
    np.testing.assert_allclose(head.decode(jnp.asarray(outputs)), np.linspace(-4, 4, 33)[:, None], rtol=2e-3)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_squashing_is_undone_up_to_its_edge(scale):
    head = Squashed(head=Linear(), scale=scale)
    z = jnp.linspace(-4.5, 4.5, 19)[None] * scale
    np.testing.assert_allclose(head.encode(z), np.tanh(np.asarray(z) / scale), rtol=1e-6)
    np.testing.assert_allclose(head.decode(head.encode(z)), z, rtol=2e-3)
    edge = np.asarray(head.decode(jnp.asarray([[-1.0, 1.0]])))
    np.testing.assert_allclose(edge, np.array([[-1, 1]]) * scale * np.arctanh(1 - 1e-4), rtol=1e-3)
    plain = Linear()
    np.testing.assert_array_equal(plain.decode(plain.encode(z)), z)


@pytest.mark.parametrize(
    ("head", "zero", "inputs"),
    [
        (Linear(layer=("first", "last")), "layers.first.kernel", 40),
        (LowRank(layer="first", rank=20), "layers.first.up", 20),
        (per_roi(V1=Linear(layer="first")), "parts.V1.layers.first.kernel", 40),
        (Sum(heads=(Factorized(layer="first"), Linear(layer="first"))), "heads.1.layers.first.kernel", 40),
    ],
)
def test_what_is_squashed_begins_at_random_as_a_linear_layer_does(head, zero, inputs):
    """Of variance 1 / inputs (LeCun et al. 1998): batch norm would divide outputs of 0 by sqrt(eps)."""

    def first_values(head):
        module = head.build(shapes_of(), tuple(f"V1_{k}" for k in range(400)), nnx.Rngs(0))
        return {path: np.asarray(leaf) for path, leaf in tree.flatten(nnx.state(module)).items()}

    assert not first_values(head)[zero].any()
    assert not first_values(Squashed(head=head, biased=True))[f"inner.{zero}"].any(), "runs of 0.1"
    values = first_values(Squashed(head=head))[f"inner.{zero}"] * np.sqrt(inputs)
    np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=0.05)
