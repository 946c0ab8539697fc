"""Features and helpers that the tests of all heads share."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxlab.core.rng import row_keys, step_key
from jaxlab.core.types import EVALUATION, Mode

SHAPES = {"first": (4, 5, 2), "second": (3, 3, 6), "last": (7,)}


def shapes_of(shapes=SHAPES):
    return {name: jax.ShapeDtypeStruct((1, *shape), "float32") for name, shape in shapes.items()}


def names(count):
    return tuple(f"n{k}" for k in range(count))


def features_of(rows, shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=(rows, *shape)), "float32") for name, shape in shapes.items()}


def built(head, targets=5, shapes=SHAPES, seed=0):
    """The head's module with every value drawn anew, so that none is zero; running variances 0.5 to 1.5."""
    targets = targets if isinstance(targets, tuple) else names(targets)
    module = nnx.eval_shape(lambda: head.build(shapes_of(shapes), targets, nnx.Rngs(0)))
    graphdef, state = nnx.split(module)
    rng, flat = np.random.default_rng(seed), []
    for path, leaf in nnx.to_flat_state(state):
        values = rng.uniform(0.5, 1.5, leaf.shape) if path[-1] == "var" else rng.normal(size=leaf.shape)
        flat.append((path, leaf.replace(jnp.asarray(values, leaf.dtype))))
    return nnx.merge(graphdef, nnx.from_flat_state(flat))


def training(rows, step=0):
    return Mode(train=True, row_keys=row_keys(step_key(0, step), rows))


def evaluated(module, features, mode=EVALUATION):
    """(b, t) outputs of one compiled call, which leaves the module as it is."""
    graphdef, state = nnx.split(module)
    return np.asarray(jax.jit(lambda s, x: nnx.merge(graphdef, s)(x, mode))(state, features))
