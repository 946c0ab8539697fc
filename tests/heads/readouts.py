"""Features and helpers that the tests of all heads share."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxlab.rng import row_keys, step_key
from jaxlab.types import EVALUATION, Mode

SHAPES = {"first": (4, 5, 2), "second": (3, 3, 6), "last": (7,)}


def shapes_of(shapes=SHAPES):
    return {name: jax.ShapeDtypeStruct((1, *shape), "float32") for name, shape in shapes.items()}


def names(count):
    return tuple(f"n{k}" for k in range(count))


def features_of(rows, shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=(rows, *shape)), "float32") for name, shape in shapes.items()}


def built(head, targets=5, shapes=SHAPES, seed=0):
    """The head's module with every parameter drawn anew, so that none is zero."""
    module = head.build(
        shapes_of(shapes), targets if isinstance(targets, tuple) else names(targets), nnx.Rngs(0)
    )
    rng = np.random.default_rng(seed)
    state = nnx.state(module, nnx.Param)
    nnx.update(module, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), state))
    return module


def training(rows, step=0):
    return Mode(train=True, row_keys=row_keys(step_key(0, step), rows))


def evaluated(module, features):
    return np.asarray(module(features, EVALUATION))
