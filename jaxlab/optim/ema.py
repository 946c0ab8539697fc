"""Exponential moving average of parameters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int


def ema_update(ema: dict, params: dict, decay: float, step: Int[Array, ""]) -> dict:
    """`ema` moved towards `params`; `step` counts the updates before this one.

    The decay rises as min(decay, (1 + step) / (10 + step)), so that a short run is not held at its start.
    """
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda average, new: average + (1.0 - kept) * (new - average), ema, params)
