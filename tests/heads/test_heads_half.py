"""Readouts of bfloat16 features with bfloat16 parameters give what they give in float32, to its 8 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readouts import built, evaluated, features_of

from jaxlab.heads import Attention, Factorized, Gaussian, RetinaMap

FEATURES = features_of(16)


@pytest.mark.parametrize(
    "head",
    [
        Factorized(layer="first"),
        Gaussian(layer="first"),
        RetinaMap(layer=("first", "last"), width=4),
        Attention(layer=("first", "last"), width=8, heads=2),
    ],
    ids=lambda head: type(head).__name__,
)
def test_half_precision(head):
    module = built(head)
    expected = evaluated(module, FEATURES)
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    half, features = (
        jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), part) for part in (params, FEATURES)
    )
    found = evaluated(nnx.merge(graphdef, half, rest), features).astype(np.float32)
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
