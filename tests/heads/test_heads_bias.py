"""A bias before batch norm is taken off again: its gradient is rounding, of which Adam makes steps as long as any,
other ones on other devices. No readout has such, whatever it consists of."""

import jax
import numpy as np
import pytest
from flax import nnx
from readouts import SHAPES, built, evaluated, features_of, names, shapes_of, training

from jaxlab.core import tree
from jaxlab.heads import (
    ROI,
    Attention,
    Factorized,
    Gaussian,
    Linear,
    LowRank,
    PerROI,
    RetinaMap,
    Squashed,
    Sum,
)

PLAIN = {
    "linear": Linear(layer="first"),
    "normalised": Linear(layer=("first", "last"), normalize=True),
    "low rank": LowRank(layer="second", rank=2),
    "factorized": Factorized(layer="first"),
    "gaussian": Gaussian(layer="second"),
    "places": Sum(
        heads=(
            RetinaMap(layer=("first", "last"), width=3),
            Attention(layer=("first", "last"), width=4, heads=1),
        )
    ),
    "sum": Sum(heads=(Linear(layer="first"), Factorized(layer="second"))),
    "regions": PerROI(
        parts=(
            ROI(name="a", targets="n[01]", head=Linear(layer="first")),
            ROI(
                name="b",
                targets="n[234]",
                head=Sum(heads=(Linear(layer="last"), LowRank(layer="first", rank=2))),
            ),
        )
    ),
}
HEADS = PLAIN | {f"squashed {name}": Squashed(head=head) for name, head in PLAIN.items()}


def without_effect(head) -> list[str]:
    """The vectors that may be moved by any other without a change of what a pass of training gives."""
    module, features = built(head), features_of(6)
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    found = []

    def outputs(flat):
        return evaluated(nnx.merge(graphdef, tree.unflatten(flat, params), rest), features, training(6))

    flat = tree.flatten(params)
    before = outputs(flat)
    for path, leaf in flat.items():
        if leaf.ndim == 1:
            moved = np.random.default_rng(1).normal(size=leaf.shape).astype(np.float32)
            if np.abs(outputs({**flat, path: leaf + moved}) - before).max() < 1e-3:
                found.append(path)
    return found


@pytest.mark.parametrize("name", HEADS)
def test_every_bias_of_a_readout_has_an_effect(name):
    paths = tree.flatten(nnx.state(built(HEADS[name]), nnx.Param))
    assert any(path.endswith("bias") for path in paths)
    assert without_effect(HEADS[name]) == []


def test_one_without_effect_would_be_found():
    assert without_effect(Squashed(head=PLAIN["linear"], biased=True)) == ["inner.bias"]


@pytest.mark.parametrize("name", PLAIN)
def test_all_parameters_but_the_biases_stay_where_they_were(name):
    """So that a run has the names of before; `biased` is how a run of an earlier version goes on."""
    one, other = (
        nnx.eval_shape(
            lambda biased=biased: Squashed(head=PLAIN[name], biased=biased).build(
                shapes_of(SHAPES), names(5), nnx.Rngs(0)
            )
        )
        for biased in (False, True)
    )
    paths, before = (set(tree.flatten(nnx.state(module, nnx.Param))) for module in (one, other))
    assert paths == {path for path in before if not (path.startswith("inner.") and path.endswith("bias"))}
    assert before - paths
    assert jax.tree.leaves(nnx.state(one, nnx.BatchStat))
