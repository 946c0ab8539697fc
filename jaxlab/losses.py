"""Losses: arrays -> one value a sample, so that masks and devices are reduced in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxlab.core.config import Component
from jaxlab.core.types import Kind, UserError

Space = Literal["standardised", "units"]
Total = Callable[
    [Array], Array
]  # (b, ...) values of a device's rows -> their sum over the whole batch, masked rows out


@dataclass(frozen=True, kw_only=True)
class Loss(Component):
    """Base of all losses; `kind` says what it is a loss for.

    space: what it compares numbers in: "standardised" by the training split's mean and standard deviation, where
    `training.standardize` is on, or always the targets' own "units", as a Poisson loss has to. A loss that does not say
    is given standardised ones, and training says so.
    """

    space: ClassVar[Space] = "standardised"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (found := vars(cls).get("space", cls.space)) not in get_args(Space):
            raise UserError(f"{cls.__name__}.space: expected {' or '.join(get_args(Space))}, found {found!r}")

    @classmethod
    def says_its_space(cls) -> bool:
        """Whether it, or the loss that it is made from, has a `space`."""
        return any("space" in vars(base) for base in cls.__mro__ if base is not Loss)

    @property
    def kind(self) -> Kind:
        raise NotImplementedError

    def __call__(self, outputs: Float[Array, "b t"], truth: Array) -> Float[Array, " b"]:
        raise NotImplementedError

    def rows(self, outputs: Float[Array, "b t"], truth: Array, total: Total) -> Float[Array, " b"]:
        """One value a row, whose mean over the whole batch is the loss. total: sums over rows on all devices."""
        return self(outputs, truth)


@dataclass(frozen=True, kw_only=True)
class BatchLoss(Loss):
    """Base of the losses that look at the whole batch at once, however many devices share it."""

    def of_batch(self, outputs: Float[Array, "b t"], truth: Array, total: Total) -> Float[Array, ""]:
        """The loss. Whatever is summed over rows is summed by `total`: then it is the same on every device.

        With `training.accumulate` the batch is a micro-batch.
        """
        raise NotImplementedError

    def rows(self, outputs: Float[Array, "b t"], truth: Array, total: Total) -> Float[Array, " b"]:
        return jnp.full(len(outputs), self.of_batch(outputs, truth, total))


@dataclass(frozen=True, kw_only=True)
class Mse(Loss):
    """Squared error, averaged over targets."""

    space: ClassVar[Space] = "standardised"

    @property
    def kind(self) -> Kind:
        return "regression"

    def __call__(self, outputs: Float[Array, "b t"], truth: Float[Array, "b t"]) -> Float[Array, " b"]:
        if outputs.shape != truth.shape:
            raise ValueError(f"Mse: outputs {outputs.shape} and targets {truth.shape} differ in shape")
        return jnp.mean(jnp.square(outputs - truth), axis=-1)


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
