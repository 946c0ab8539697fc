"""A model's parameters and batch statistics as shapes, for tests that load weights without computing any."""

from functools import cache
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.models.base import Model


@cache
def split(config: Model, channels: int = 3) -> tuple[Any, nnx.State, nnx.State]:
    """graphdef, params and stats, the latter two of shapes."""
    return nnx.split(
        nnx.eval_shape(lambda: config.build(channels, initial_rngs(0))), nnx.Param, nnx.BatchStat
    )


def drawn(state: nnx.State) -> nnx.State:
    """Values for shapes without compiling what draws them: kernels at random, all else ones."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: (rng.normal(0, 0.1, leaf.shape) if leaf.ndim > 1 else np.ones(leaf.shape)).astype(
            leaf.dtype
        ),
        state,
    )


def flat(state: nnx.State) -> tree.Flat:
    """{path: ShapeDtypeStruct}."""
    return tree.flatten(state)
