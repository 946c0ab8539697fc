"""Rates: outputs that are never below 0, as a Poisson loss needs them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

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


@dataclass(frozen=True, kw_only=True)
class Rates(Head):
    """A softplus of learned sharpness on the outputs of `head`, for losses of the targets' own units, as `Poisson`.

    Predictions are rate_t = mean_t softplus(beta_t x_t + c) / beta_t, where mean_t is the target's mean over the
    training split, beta_t > 0 is learned for each target, and c such that x = 0 gives the mean at first: training
    starts at the mean rates, whatever they are counted in. The larger beta, the more it is like max(0, x).

    head: what the softplus is of. sharpness: beta at first.
    """

    rates: ClassVar[bool] = True

    head: Head
    sharpness: float = 1.0

    def check(self) -> None:
        refuse_transforms("Rates.head", self.head)
        if not 0 < self.sharpness < math.inf:
            raise UserError(f"Rates.sharpness: expected more than 0, found {self.sharpness}")

    def check_targets(self, targets: tuple[str, ...]) -> None:
        self.head.check_targets(targets)

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "RatesModule":
        return RatesModule(self.head.build(features, targets, rngs), self.sharpness, len(targets))


class RatesModule(Fading):
    """log_beta (t,): so that beta stays above 0. In float32: bfloat16 has three digits, too few for rates near 0."""

    def __init__(self, inner: HeadModule, sharpness: float, targets: int):
        self.inner = inner
        self.log_beta = nnx.Param(jnp.full(targets, math.log(sharpness)))
        self.shift = sharpness + math.log(-math.expm1(-sharpness))  # softplus(shift) is the sharpness

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        beta = jnp.exp(self.log_beta[...].astype(jnp.float32))[None]
        return jax.nn.softplus(beta * self.inner(features, mode).astype(jnp.float32) + self.shift) / beta

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return penalty_of(self.inner, epoch)
