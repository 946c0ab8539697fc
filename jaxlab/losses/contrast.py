"""Losses of pairs: two views of one image against those of all others in the batch."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlab.core.types import Kind, UserError
from jaxlab.losses.base import About, Loss, Space

_EPS = 1e-12  # of squared lengths, so that a projection of 0 has a gradient
_TOP_1 = "top_1"


@dataclass(frozen=True, kw_only=True)
class NTXent(Loss):
    """Cross-entropy of each view's partner among all other views of the batch, by cosine similarity (Chen et al. 2020).

    Of 2 n views z of n images, the mean over i of -log(exp(s(i, partner) / temperature) / sum over k != i of
    exp(s(i, k) / temperature)), the paper's equation 1; a row's value is the mean of its two views'. All devices' rows
    are compared with one another. For `Contrast` alone, whose truth is the other view. With `training.accumulate` the
    batch is a micro-batch. Records have `loss/top_1`, the share of views whose most similar one is their partner.

    temperature: the smaller, the more the most similar others count.
    """

    space: ClassVar[Space] = "units"
    temperature: float = 0.2

    def check(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"NTXent.temperature: expected more than 0, found {self.temperature}")

    @property
    def kind(self) -> Kind:
        return "regression"

    @property
    def terms(self) -> tuple[str, ...]:
        return (_TOP_1,)

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        return self.told(outputs, truth, about)[0]

    def told(
        self, outputs: Float[Array, "b t"], truth: Array, about: About
    ) -> tuple[Array, dict[str, Array]]:
        views = [_unit(side) for side in (outputs, truth)]
        everyone = [about.gather(side) for side in views]
        at, present = about.rows(len(outputs)), about.gather(about.present(len(outputs)))
        partner = (views[0] * views[1]).sum(1) / self.temperature
        others = jnp.arange(len(everyone[0]))[None] != at[:, None]
        losses, hits = [], []
        for view in views:
            scores = [view @ side.T / self.temperature for side in everyone]
            rivals = jnp.where(jnp.tile(others & present[None], 2), jnp.concatenate(scores, 1), -jnp.inf)
            losses.append(jax.nn.logsumexp(jnp.concatenate([rivals, partner[:, None]], 1), axis=1) - partner)
            hits.append((partner > rivals.max(1)).astype("float32"))
        return (losses[0] + losses[1]) / 2, {_TOP_1: (hits[0] + hits[1]) / 2}


def _unit(values: Float[Array, "b t"]) -> Float[Array, "b t"]:
    return values * jax.lax.rsqrt(jnp.square(values).sum(1, keepdims=True) + _EPS)
