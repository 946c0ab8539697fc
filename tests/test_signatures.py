"""The suite itself: a call that breaks its signature's shapes fails, and so does a NaN out of a compiled function."""

import jax
import jax.numpy as jnp
import jaxtyping
import pytest

from jaxlab.losses import Mse
from jaxlab.nn.convolution import convolve


def test_shapes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="truth"):
        Mse()(jnp.zeros((6, 4)), jnp.zeros((6,)))
    with pytest.raises(jaxtyping.TypeCheckError, match="kernel"):
        convolve(jnp.zeros((1, 8, 8, 3)), jnp.zeros((3, 3, 3)), (1, 1), "SAME", feature_group_count=1)


def test_a_nan_is_an_error() -> None:
    with pytest.raises(FloatingPointError):
        jax.jit(jnp.log)(-1.0)
