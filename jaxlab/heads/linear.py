"""Linear readouts of all positions of a layer, at full or at low rank."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import Part, Readout

_unit_gain = nnx.initializers.lecun_normal()


@dataclass(frozen=True, kw_only=True)
class Linear(Readout):
    """A weight for each value of each layer and target: outputs = flatten(features) @ kernel + bias."""

    def part(self, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs) -> "LinearPart":
        return LinearPart(math.prod(shape), targets)


class LinearPart(Part):
    """flatten(x) @ kernel, zero at first."""

    def __init__(self, width: int, targets: int):
        self.kernel = nnx.Param(jnp.zeros((width, targets)))

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        self.kernel[...] = _unit_gain(rngs.params(), self.kernel.shape)

    def __call__(self, x: Float[Array, " b *shape"], mode: Mode) -> Float[Array, "b t"]:
        return x.reshape(len(x), -1) @ self.kernel[...]


@dataclass(frozen=True, kw_only=True)
class LowRank(Readout):
    """A linear readout whose kernel is a product of two: features -> rank -> targets.

    rank: dimensions between each layer and the targets; with 40,000 targets a hundredth of a Linear's weights.
    """

    rank: int

    def check(self) -> None:
        super().check()
        if self.rank < 1:
            raise UserError(f"LowRank.rank: expected 1 or more, found {self.rank}")

    def part(self, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs) -> "LowRankPart":
        return LowRankPart(math.prod(shape), self.rank, targets, rngs)


class LowRankPart(Part):
    """flatten(x) @ down @ up; `up` is zero at first, `down` of unit gain."""

    def __init__(self, width: int, rank: int, targets: int, rngs: nnx.Rngs):
        self.down = nnx.Param(_unit_gain(rngs.params(), (width, rank)))
        self.up = nnx.Param(jnp.zeros((rank, targets)))

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        self.up[...] = _unit_gain(rngs.params(), self.up.shape)

    def __call__(self, x: Float[Array, " b *shape"], mode: Mode) -> Float[Array, "b t"]:
        return x.reshape(len(x), -1) @ self.down[...] @ self.up[...]
