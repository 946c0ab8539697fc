"""Losses of numbers that are a mean over targets, one value a row."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxlab.core.types import Kind, UserError
from jaxlab.losses.base import About, Loss, Space


@dataclass(frozen=True, kw_only=True)
class TargetLoss(Loss):
    """Base of the losses that have a value for each sample and target, and are its mean over targets.

    Missing targets are left out of it: then each known value of a batch counts alike, and over batches each batch.
    """

    leaves_out_missing: ClassVar[bool] = True

    @property
    def kind(self) -> Kind:
        return "regression"

    def each(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, "b t"]:
        """The loss of each value."""
        raise NotImplementedError

    def __call__(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        if outputs.shape != truth.shape:
            raise ValueError(
                f"{type(self).__name__}: outputs {outputs.shape} and targets {truth.shape} differ in shape"
            )
        return jnp.mean(self.each(outputs, truth), axis=-1)

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        if about.known is None:
            return self(outputs, truth)
        known = jnp.where(about.known, self.each(outputs, truth), 0.0).sum(-1)
        values = about.total(about.known.sum(-1).astype("float32"))
        return known * about.total(jnp.ones(len(outputs))) / jnp.maximum(values, 1.0)


@dataclass(frozen=True, kw_only=True)
class Mse(TargetLoss):
    """Squared error, averaged over targets."""

    space: ClassVar[Space] = "standardised"

    def each(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, "b t"]:
        return jnp.square(outputs - truth)


@dataclass(frozen=True, kw_only=True)
class SmoothL1(TargetLoss):
    """Squared error up to `beta`, linear beyond, averaged over targets (Girshick 2015): d^2 / (2 beta), |d| - beta / 2.

    As torch's SmoothL1Loss. Responses far off pull less than by squared error; the winner of Algonauts 2023 took 0.01.
    beta: in standard deviations of the training targets, where these are standardised; 0 is the absolute error.
    """

    space: ClassVar[Space] = "standardised"
    beta: float = 1.0

    def check(self) -> None:
        if not 0 <= self.beta < float("inf"):
            raise UserError(f"SmoothL1.beta: expected 0 or more, found {self.beta}")

    def each(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, "b t"]:
        if self.beta == 0:
            return jnp.abs(outputs - truth)
        return optax.huber_loss(outputs, truth, delta=self.beta) / self.beta


@dataclass(frozen=True, kw_only=True)
class Poisson(TargetLoss):
    """How unlikely responses y of 0 or more are at rates r, averaged over targets: r - y log(r + eps).

    A Poisson distribution's negative logarithm, without the term that r cannot change, as torch's
    PoissonNLLLoss(log_input=False). It is not given standardised targets, and needs a readout of rates, as `Rates`.
    eps: added to rates, so that their logarithm is finite.
    """

    space: ClassVar[Space] = "units"
    needs_rates: ClassVar[bool] = True
    falls_below_0: ClassVar[bool] = True
    eps: float = 1e-8

    def check(self) -> None:
        if not 0 < self.eps < float("inf"):
            raise UserError(f"Poisson.eps: expected more than 0, found {self.eps}")

    def each(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, "b t"]:
        return outputs - truth * jnp.log(outputs + self.eps)
