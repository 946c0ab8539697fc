"""Losses of numbers that look at the whole batch: of each target over its samples."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxlab.core.types import Kind, UserError
from jaxlab.losses.base import BatchLoss, Space, Total


@dataclass(frozen=True, kw_only=True)
class _OfMoments(BatchLoss):
    """Base of those that are a mean over targets of what a target's covariances over the batch come to.

    Missing targets are left out, and from the mean those with fewer than two known values in the batch.
    eps: added to variances (in squared standard deviations of the training targets), so that the slope stays finite
        where predictions do not vary, as those of a readout that begins at 0.
    """

    space: ClassVar[Space] = "standardised"
    leaves_out_missing: ClassVar[bool] = True
    eps: float = 1e-4

    def check(self) -> None:
        if not 0 < self.eps < float("inf"):
            raise UserError(f"{type(self).__name__}.eps: expected more than 0, found {self.eps}")

    @property
    def kind(self) -> Kind:
        return "regression"

    def of_covariances(
        self, xx: Float[Array, " t"], yy: Float[Array, " t"], xy: Float[Array, " t"]
    ) -> Float[Array, " t"]:
        """Of each target, from the variances of outputs and truth, with `eps`, and their covariance."""
        raise NotImplementedError

    def of_batch(self, outputs: Float[Array, "b t"], truth: Array, total: Total) -> Float[Array, ""]:
        count = total(jnp.ones_like(outputs))
        enough: Bool[Array, " t"] = count > 1
        count = jnp.maximum(count, 1.0)
        x, y = (side - (total(side) / count)[None] for side in (outputs, truth))
        xx, yy, xy = (total(product) / count for product in (x * x, y * y, x * y))
        each = self.of_covariances(xx + self.eps, yy + self.eps, xy)
        return jnp.where(enough, each, 0.0).sum() / jnp.maximum(enough.sum(), 1)


@dataclass(frozen=True, kw_only=True)
class NegativePearson(_OfMoments):
    """-r: Pearson's correlation of predictions and targets over the batch, negative, averaged over targets.

    It knows neither scale nor offset of predictions, which squared error beside it learns: see `WeightedSum`.
    Batches are to be large: r of few samples is mostly noise.
    """

    falls_below_0: ClassVar[bool] = True

    def of_covariances(
        self, xx: Float[Array, " t"], yy: Float[Array, " t"], xy: Float[Array, " t"]
    ) -> Float[Array, " t"]:
        return -xy / jnp.sqrt(xx * yy)


@dataclass(frozen=True, kw_only=True)
class Spread(_OfMoments):
    """(s_x - s_y)^2 of the standard deviations of predictions and of targets over the batch, averaged over targets.

    Beside squared error, whose predictions vary less than the targets: see `WeightedSum`. It is one of the three terms
    that squared error itself consists of, (m_x - m_y)^2 + (s_x - s_y)^2 + 2 s_x s_y (1 - r), so that a weight here says
    how much more that term counts; and being squared it is smooth where spreads agree. Alone it teaches nothing of
    which sample has which response.
    """

    def of_covariances(
        self, xx: Float[Array, " t"], yy: Float[Array, " t"], xy: Float[Array, " t"]
    ) -> Float[Array, " t"]:
        return jnp.square(jnp.sqrt(xx) - jnp.sqrt(yy))
