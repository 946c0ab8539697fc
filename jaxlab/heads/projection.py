"""A small network on top of a layer, whose outputs are compared with one another."""

import math
from dataclasses import dataclass

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import Part, Readout
from jaxlab.nn.norm import BatchNorm


@dataclass(frozen=True, kw_only=True)
class Projection(Readout):
    """SimCLR's projection (Chen et al. 2020): linear, batch norm, ReLU, linear; for `Contrast`.

    What it leaves out the layer below may keep, so that it is the layer that later experiments read.

    hidden: width in between.
    """

    hidden: int = 128

    def check(self) -> None:
        super().check()
        if self.hidden < 1:
            raise UserError(f"Projection.hidden: expected 1 or more, found {self.hidden}")

    def part(self, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs) -> "ProjectionPart":
        return ProjectionPart(math.prod(shape), self.hidden, targets, rngs)


class ProjectionPart(Part):
    """relu(norm(flatten(x) @ first)) @ second."""

    def __init__(self, width: int, hidden: int, targets: int, rngs: nnx.Rngs):
        self.first = nnx.Linear(width, hidden, use_bias=False, rngs=rngs)
        self.norm = BatchNorm(hidden)
        self.second = nnx.Linear(hidden, targets, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, " b *shape"], mode: Mode) -> Float[Array, "b t"]:
        return self.second(jax.nn.relu(self.norm(self.first(x.reshape(len(x), -1)), mode)))
