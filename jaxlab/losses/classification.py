"""Losses of classes, one value a row."""

from dataclasses import dataclass

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxlab.core.types import Kind, UserError
from jaxlab.losses.base import Loss


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Softmax cross-entropy of integer labels, in nats; 0 for label -1, which is none of the classes.

    label_smoothing: share of the truth that is spread over all classes.
    """

    label_smoothing: float = 0.0

    def check(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UserError(
                f"CrossEntropy.label_smoothing: expected a share in [0, 1), found {self.label_smoothing}"
            )

    @property
    def kind(self) -> Kind:
        return "classification"

    def __call__(self, outputs: Float[Array, "b t"], truth: Array) -> Float[Array, " b"]:
        if truth.shape != outputs.shape[:1]:
            raise ValueError(f"CrossEntropy: outputs {outputs.shape} need labels (b,), found {truth.shape}")
        hot = jnp.eye(outputs.shape[-1])[truth]
        losses = optax.softmax_cross_entropy(outputs, optax.smooth_labels(hot, self.label_smoothing))
        return jnp.where(truth < 0, 0.0, losses)
