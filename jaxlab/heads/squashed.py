"""Squashed regression: outputs and targets both between -1 and 1."""

from dataclasses import dataclass, field

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import DERIVED
from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import (
    Fading,
    FeatureMaps,
    FeatureShapes,
    Head,
    HeadModule,
    penalty_of,
    refuse_transforms,
)
from jaxlab.nn.norm import BatchNorm

_EDGE = 1 - 1e-4  # outputs are read as no more: 4.95 scales from the mean


@dataclass(frozen=True, kw_only=True)
class Squashed(Head):
    """Batch norm, then tanh, on the outputs of `head`; compared with tanh(z / scale) of standardised targets z.

    Predictions are mapped back by scale * atanh, to no more than 4.95 scales from the mean. `head` begins at random,
    unlike alone: batch norm would amplify what it begins to learn from 0.

    head: what is squashed. scale: of how many standard deviations of a target tanh is about linear.
    biased: whether `head` keeps its bias, as it did in runs of jaxlab 0.1, which go on so. Batch norm takes it off.
    """

    head: Head
    scale: float = 1.0
    biased: bool = field(default=False, metadata=DERIVED)

    def check(self) -> None:
        refuse_transforms("Squashed.head", self.head)
        if self.scale <= 0:
            raise UserError(f"Squashed.scale: expected more than 0, found {self.scale}")

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "SquashedModule":
        inner = self.head.build(features, targets, rngs)
        if not self.biased:
            inner.drop_bias()
            inner.begin_at_random(rngs)
        return SquashedModule(inner, len(targets))

    def check_targets(self, targets: tuple[str, ...]) -> None:
        self.head.check_targets(targets)

    def encode(self, z: Float[Array, "b t"]) -> Float[Array, "b t"]:
        return jnp.tanh(z / self.scale)

    def decode(self, outputs: Float[Array, "b t"]) -> Float[Array, "b t"]:
        return self.scale * jnp.arctanh(jnp.clip(outputs, -_EDGE, _EDGE))


class SquashedModule(Fading):
    """tanh(norm(inner(features))) in float32: near 1, bfloat16 has few values, which `decode` draws far apart."""

    def __init__(self, inner: HeadModule, targets: int):
        self.inner = inner
        self.norm = BatchNorm(targets)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        return jnp.tanh(self.norm(self.inner(features, mode).astype(jnp.float32), mode))

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return penalty_of(self.inner, epoch)
