"""Losses of numbers, one value a row."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlab.core.types import Kind
from jaxlab.losses.base import Loss, Space


@dataclass(frozen=True, kw_only=True)
class Mse(Loss):
    """Squared error, averaged over targets."""

    space: ClassVar[Space] = "standardised"

    @property
    def kind(self) -> Kind:
        return "regression"

    def __call__(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        if outputs.shape != truth.shape:
            raise ValueError(f"Mse: outputs {outputs.shape} and targets {truth.shape} differ in shape")
        return jnp.mean(jnp.square(outputs - truth), axis=-1)
