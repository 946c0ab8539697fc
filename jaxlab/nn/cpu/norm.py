"""Batch norm and the activation after it, of which the pass back keeps what they are given, and nothing between.

Else XLA keeps a convolution's result, that less its mean, and that scaled, beside what the activation makes of it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlab.nn.later import known
from jaxlab.nn.spread import devices_of_rows

Activation = Callable[[Array], Array]


@jax.custom_vjp
def moments(x: Float[Array, "n c"]) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
    """Mean and biased variance of each channel, in two passes: one would lose the digits of a large mean."""
    mean = x.mean(0)
    return mean, jnp.square(x - mean[None]).mean(0)


def _of_moments(kept: tuple[Array, Array], gradient: tuple[Array, Array]) -> tuple[Array]:
    x, mean = kept
    of_mean, of_var = gradient
    spread = 2 * of_var[None] * (x - _later(mean, of_var)[None])
    return ((of_mean[None] + spread) / len(x),)


def _with_moments(x: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    mean, var = moments(x)
    return (mean, var), (x, mean)


moments.defvjp(_with_moments, _of_moments)


def scaled(
    x: Float[Array, "n c"],
    mean: Float[Array, " c"],
    slope: Float[Array, " c"],
    bias: Float[Array, " c"],
    then: Activation,
) -> Float[Array, "n c"]:
    """then((x - mean) * slope + bias)."""

    def call(x: Array, mean: Array, slope: Array, bias: Array) -> Array:
        return then((x - mean[None]) * slope[None] + bias[None])

    def back(kept: tuple[Array, ...], gradient: Array) -> tuple[Array, ...]:
        x, mean, slope, bias = kept
        centred = x - _later(mean, gradient)[None]
        (gradient,) = jax.vjp(then, centred * slope[None] + bias[None])[1](gradient)
        of_bias = gradient.sum(0)
        return gradient * slope[None], -slope * of_bias, (gradient * centred).sum(0), of_bias

    result: Any = jax.custom_vjp(call)
    result.defvjp(lambda *given: (call(*given), given), back)
    found: Array = result(x, mean, slope, bias)
    return found


def _later(mean: Float[Array, " c"], gradient: Array) -> Float[Array, " c"]:
    """The mean, of which XLA cannot tell before the pass back that it is the one of the pass forward: what is computed
    of it is then not kept in between.
    """
    if devices_of_rows() > 1:  # they would wait for the one that has the first value
        return mean
    there: Bool[Array, " 1"] = known(gradient.reshape(1, -1))
    return jnp.where(there, mean, 0)
