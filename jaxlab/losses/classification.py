"""Losses of classes, one value a row."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxlab.core.config import LATER
from jaxlab.core.types import Kind, UserError
from jaxlab.losses.base import About, Loss


@dataclass(frozen=True, kw_only=True)
class _OfClasses(Loss):
    """Base of those of logits. The truth is labels (b,), of which -1 costs nothing, or probabilities (b, t).

    label_smoothing: share of the truth that is spread over all classes.
    class_weight_strength: a sample counts by the weight of its class, frequency ** -strength, by frequencies among the
        training samples: from 0, all samples alike, to 1, all classes alike. Weights are normalised: their mean over
        the training samples is 1.
    """

    label_smoothing: float = 0.0
    class_weight_strength: float = field(default=0.0, metadata=LATER)

    def check(self) -> None:
        name = type(self).__name__
        if not 0 <= self.label_smoothing < 1:
            raise UserError(
                f"{name}.label_smoothing: expected a share in [0, 1), found {self.label_smoothing}"
            )
        if not 0 <= self.class_weight_strength <= 1:
            raise UserError(
                f"{name}.class_weight_strength: expected 0 (all samples count alike) to 1 (all classes do), found "
                f"{self.class_weight_strength}"
            )

    @property
    def kind(self) -> Kind:
        return "classification"

    @property
    def needs_shares(self) -> bool:
        return self.class_weight_strength > 0

    def of_logits(self, logits: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        """One a row. truth: probabilities, smoothed."""
        raise NotImplementedError

    def __call__(self, outputs: Float[Array, "b t"], truth: Array) -> Float[Array, " b"]:
        """Without weights of classes."""
        if truth.shape not in (outputs.shape[:1], outputs.shape):
            raise ValueError(
                f"{type(self).__name__}: outputs {outputs.shape} need labels (b,) or probabilities (b, t), found "
                f"{truth.shape}"
            )
        hot = jnp.eye(outputs.shape[-1])[truth] if truth.ndim == 1 else truth
        losses = self.of_logits(outputs, optax.smooth_labels(hot, self.label_smoothing))
        return jnp.where(truth < 0, 0.0, losses) if truth.ndim == 1 else losses

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        losses = self(outputs, truth)
        if self.class_weight_strength == 0 or about.shares is None:
            return losses
        weights = about.shares**-self.class_weight_strength
        weights = weights / (about.shares * weights).sum()
        return losses * (weights[truth] if truth.ndim == 1 else truth @ weights)


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(_OfClasses):
    """Softmax cross-entropy of integer labels, in nats; 0 for label -1, which is none of the classes.

    Of probabilities too, as distillation has them.
    """

    def of_logits(self, logits: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        return optax.softmax_cross_entropy(logits, truth)


@dataclass(frozen=True, kw_only=True)
class Focal(_OfClasses):
    """Cross-entropy that counts little where the network is sure and right: -(1 - p)^gamma log p (Lin et al. 2017).

    p: the softmax's probability of a class; of several, as label smoothing has it, by their shares of the truth.
    gamma: 0 is cross-entropy.
    """

    gamma: float = 2.0

    def check(self) -> None:
        super().check()
        if not 0 <= self.gamma < float("inf"):
            raise UserError(f"Focal.gamma: expected 0 or more, found {self.gamma}")

    def of_logits(self, logits: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        log_p = jax.nn.log_softmax(logits)
        unsure = jnp.maximum(-jnp.expm1(log_p), 1e-12)  # where p is 1 the slope of a root would be infinite
        return -(truth * unsure**self.gamma * log_p).sum(-1)


@dataclass(frozen=True, kw_only=True)
class LogitAdjusted(_OfClasses):
    """Cross-entropy of logits + tau log(frequency), by frequencies in the training samples (Menon et al. 2021, eq. 10).

    The network's own logits, by which it predicts and is scored, then leave out how frequent a class is: they do best
    where classes count alike, by macro averages.
    tau: 1 is the balanced error's; 0 is cross-entropy.
    """

    tau: float = 1.0

    def check(self) -> None:
        super().check()
        if not 0 < self.tau < float("inf"):
            raise UserError(f"LogitAdjusted.tau: expected more than 0, found {self.tau}")

    @property
    def needs_shares(self) -> bool:
        return True

    def of_logits(self, logits: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        return optax.softmax_cross_entropy(logits, truth)

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        if about.shares is None:
            raise ValueError("LogitAdjusted: expected the classes' shares")
        return super().rows(outputs + self.tau * jnp.log(about.shares)[None], truth, about)
