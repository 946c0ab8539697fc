"""Weights that change while a network trains."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlab.core.config import Component
from jaxlab.core.types import UserError


@dataclass(frozen=True, kw_only=True)
class Ramp(Component):
    """A weight that goes from one value to another over epochs, and stays there.

    start, end: the weight at first and at last, 0 or more. epochs: in how many epochs it gets from one to the other,
        update by update.
    after: epochs before it begins to change.
    shape: "linear", or half a "cosine", which begins and ends gently.
    """

    start: float = 1.0
    end: float = 0.0
    epochs: float = 20.0
    after: float = 0.0
    shape: Literal["linear", "cosine"] = "linear"

    def check(self) -> None:
        if not (0 <= self.start < float("inf") and 0 <= self.end < float("inf")):
            raise UserError(f"Ramp: expected weights of 0 or more, found start={self.start}, end={self.end}")
        if self.start == self.end == 0:
            raise UserError("Ramp: expected a weight above 0 at start or end, found 0 at both")
        if not 0 < self.epochs < float("inf"):
            raise UserError(f"Ramp.epochs: expected more than 0, found {self.epochs}")
        if not 0 <= self.after < float("inf"):
            raise UserError(f"Ramp.after: expected 0 epochs or more, found {self.after}")

    def at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        """The weight after so many epochs; at infinity, as evaluation has it, the last."""
        share = jnp.clip((epoch - self.after) / self.epochs, 0.0, 1.0)
        if self.shape == "cosine":
            share = (1 - jnp.cos(jnp.pi * share)) / 2
        return self.start + (self.end - self.start) * share


Weight: TypeAlias = float | Ramp  # of a loss in a sum


def weight_at(weight: Weight, epoch: Float[Array, ""] | float) -> Float[Array, ""] | float:
    """A weight after so many epochs; a plain number is the same at all times."""
    return weight.at(epoch) if isinstance(weight, Ramp) else weight
