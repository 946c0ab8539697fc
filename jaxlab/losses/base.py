"""What all losses have in common, and what they are told besides outputs and truth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxlab.core.config import Component
from jaxlab.core.types import Kind, UserError

Space = Literal["standardised", "units"]
Total = Callable[
    [Array], Array
]  # (b, ...) values of a device's rows -> their sum over the whole batch, masked rows out
Gather = Callable[
    [Array], Array
]  # (b, ...) values of a device's rows -> (n, ...) those of the whole batch, in order
END = float("inf")  # the epoch of evaluation: what changes over epochs has come to its end


@dataclass(frozen=True)
class About:
    """What a loss may know besides outputs and truth.

    total: sums over the rows of the whole batch, on all devices, without those that only fill it up.
    epoch: how many epochs have been trained, with fractions, a float32 scalar on the device. In evaluation it is
        infinite, so that what changes over epochs is at its end and validation losses of different epochs compare.
    shares: (t,) each class's share of the training samples; for losses with `needs_shares` alone.
    known: where the truth is known; elsewhere it is filled with the target's mean. None: everywhere.
    gather: brings the rows of all devices together, for losses that compare each row with every other.
    first: the place in the whole batch of this device's first row. mask: (b,) which rows do not only fill it up.
    """

    total: Total
    epoch: Float[Array, ""] | float = END
    shares: Float[Array, " t"] | None = None
    known: Bool[Array, "b t"] | None = None
    gather: Gather = lambda rows: rows
    first: Int[Array, ""] | int = 0
    mask: Bool[Array, " b"] | None = None

    def rows(self, count: int) -> Int[Array, " b"]:
        """The places of this device's `count` rows in the whole batch."""
        return self.first + jnp.arange(count)

    def present(self, count: int) -> Bool[Array, " b"]:
        """Which of this device's `count` rows do not only fill the batch up."""
        return jnp.ones(count, bool) if self.mask is None else self.mask

    def total_of_known(self, values: Float[Array, "b ..."]) -> Float[Array, "..."]:
        """As `total`; of (b, t) values, a row and target each, the sum over those whose truth is known."""
        if self.known is not None and values.shape == self.known.shape:
            values = jnp.where(self.known, values, 0.0)
        return self.total(values)


@dataclass(frozen=True, kw_only=True)
class Loss(Component):
    """Base of all losses; `kind` says what it is a loss for.

    space: what it compares numbers in: "standardised" by the training split's mean and standard deviation, where
    `training.standardize` is on, or always the targets' own "units", as a Poisson loss has to. A loss that does not say
    is given standardised ones, and training says so.
    needs_rates: whether outputs have to be above 0, so that only a readout of `rates` goes with it.
    falls_below_0: whether it may, so that no weight can be learned for it.
    of_answers: whether, of questions that several people answered, its truth is the accuracy that each class would have
    as answer (b, t), in place of labels.
    leaves_out_missing: whether it leaves targets out that are not `known`. A class that defines `__call__`, `rows` or
    `of_batch` anew has to say so anew.
    """

    space: ClassVar[Space] = "standardised"
    needs_rates: ClassVar[bool] = False
    falls_below_0: ClassVar[bool] = False
    leaves_out_missing: ClassVar[bool] = False
    of_answers: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if isinstance(found := own.get("space"), str) and found not in get_args(Space):
            raise UserError(f"{cls.__name__}.space: expected {' or '.join(get_args(Space))}, found {found!r}")
        if own.keys() & {"__call__", "rows", "of_batch"} and "leaves_out_missing" not in own:
            cls.leaves_out_missing = False
        if "rows" in own and "told" not in own:  # it is no longer the sum that a base adds up
            cls.told, cls.terms, cls.changing = Loss.told, Loss.terms, Loss.changing  # type: ignore[method-assign]

    @classmethod
    def says_its_space(cls) -> bool:
        """Whether it, or the loss that it is made from, has a `space`."""
        return any("space" in vars(base) for base in cls.__mro__ if base is not Loss)

    @property
    def kind(self) -> Kind:
        raise NotImplementedError

    @property
    def parts(self) -> "tuple[Loss, ...]":
        """The losses that it adds up, or itself alone."""
        return (self,)

    @property
    def needs_shares(self) -> bool:
        """Whether it is told each class's share of the training samples, which a run then keeps."""
        return False

    def __call__(self, outputs: Float[Array, "b t"], truth: Array) -> Float[Array, " b"]:
        raise NotImplementedError

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        """One value a row, whose mean over the whole batch is the loss."""
        return self(outputs, truth)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of what it adds up, as records have them; none of a loss that is no sum."""
        return ()

    def told(
        self, outputs: Float[Array, "b t"], truth: Array, about: About
    ) -> tuple[Array, dict[str, Array]]:
        """`rows`, and {term: the same of it alone}, without its weight."""
        return self.rows(outputs, truth, about), {}

    def changing(self, epoch: Float[Array, ""] | float) -> dict[str, Array]:
        """{term: its weight} after so many epochs, of those whose weights change."""
        return {}


@dataclass(frozen=True, kw_only=True)
class BatchLoss(Loss):
    """Base of the losses that look at the whole batch at once, however many devices share it."""

    def of_batch(self, outputs: Float[Array, "b t"], truth: Array, total: Total) -> Float[Array, ""]:
        """The loss. Whatever is summed over rows is summed by `total`: then it is the same on every device.

        Of (b, t) values, `total` leaves out those whose truth is missing; so a count that knows of them is
        `total(jnp.ones_like(outputs))`, one a target.
        With `training.accumulate` the batch is a micro-batch.
        """
        raise NotImplementedError

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        loss = self.of_batch(outputs, truth, about.total_of_known)
        if jnp.shape(loss) != ():
            raise UserError(
                f"{type(self).__name__}.of_batch: expected one value for the whole batch, of shape (), from outputs "
                f"{outputs.shape}, found {jnp.shape(loss)}; end it with .mean() over targets, and sum over rows with "
                "total. A loss of one value a row is a Loss"
            )
        return jnp.full(len(outputs), loss)
