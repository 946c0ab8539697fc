"""Learning-rate schedules. Each gives a factor of the base rate as a function of the update's number.

Lengths are explicit: `epochs=` or `steps=`, never both; without either, the length of the run.
`warmup_epochs=` or `warmup_steps=` raises the rate linearly, from base/warmup at the first update, before it starts.
"""

from dataclasses import dataclass, field

import jax.numpy as jnp
import optax

from jaxlab.core.config import LATER, Component
from jaxlab.core.types import UserError


@dataclass(frozen=True, kw_only=True)
class Schedule(Component):
    """Base of all schedules.

    warmup_epochs, warmup_steps: in so many first epochs, or updates, the rate rises linearly; one of the two.
    """

    warmup_epochs: float = 0.0
    warmup_steps: int = 0

    def check(self) -> None:
        if min(self.warmup_epochs, self.warmup_steps) < 0:
            raise UserError(
                f"{type(self).__name__}: expected a warm-up of 0 or more, found warmup_epochs={self.warmup_epochs}, "
                f"warmup_steps={self.warmup_steps}"
            )
        if self.warmup_epochs and self.warmup_steps:
            raise UserError(
                f"{type(self).__name__}: expected warmup_epochs or warmup_steps, found both "
                f"({self.warmup_epochs} and {self.warmup_steps})"
            )

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        """The factor after warm-up; `run_steps` is what warm-up leaves of the run."""
        raise NotImplementedError

    def main_momentum(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule | None:
        """The optimizer's momentum, likewise; None where the schedule leaves it alone."""
        return None

    def build(self, lr: float, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        """step -> learning rate. `steps_per_epoch` and `run_steps` (the whole run) count updates."""
        warmup = self._warmup(steps_per_epoch)
        main = self.main(steps_per_epoch, max(run_steps - warmup, 1))

        def rate(step):
            rising = jnp.minimum((step + 1.0) / max(warmup, 1), 1.0)
            return lr * rising * main(jnp.maximum(step - warmup, 0))

        return rate

    def build_momentum(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule | None:
        """step -> momentum, or None; as `build`."""
        warmup = self._warmup(steps_per_epoch)
        main = self.main_momentum(steps_per_epoch, max(run_steps - warmup, 1))
        return None if main is None else lambda step: main(jnp.maximum(step - warmup, 0))

    def _warmup(self, steps_per_epoch: int) -> int:
        return self.warmup_steps or round(self.warmup_epochs * steps_per_epoch)


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The base rate throughout."""

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        return optax.constant_schedule(1.0)


@dataclass(frozen=True, kw_only=True)
class _Timed(Schedule):
    """Base of those with a length.

    epochs, steps: that length, in epochs or in updates, one of the two; by default the run's.
    """

    epochs: float | None = None
    steps: int | None = None

    def check(self) -> None:
        super().check()
        if self.epochs is not None and self.steps is not None:
            raise UserError(
                f"{type(self).__name__}: expected epochs or steps, found both ({self.epochs} and {self.steps})"
            )
        length = self.steps if self.epochs is None else self.epochs
        if length is not None and length <= 0:
            raise UserError(f"{type(self).__name__}: expected a positive length, found {length}")

    def length(self, steps_per_epoch: int, default: int) -> int:
        """Updates that `epochs` or `steps` name; `default` without either."""
        if self.steps is not None:
            return self.steps
        return default if self.epochs is None else max(round(self.epochs * steps_per_epoch), 1)


@dataclass(frozen=True, kw_only=True)
class Step(_Timed):
    """The rate is multiplied by `factor` every `epochs` or `steps` (torch's StepLR).

    factor: of the rate after each drop.
    """

    factor: float = 0.1

    def check(self) -> None:
        super().check()
        if self.epochs is None and self.steps is None:
            raise UserError("Step: expected epochs= or steps= between two drops, found neither")

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        length = self.length(steps_per_epoch, run_steps)
        return lambda step: self.factor ** (step // length)  # whole numbers: XLA's step / length misses some


@dataclass(frozen=True, kw_only=True)
class Exponential(_Timed):
    """The rate decays continuously, by `factor` every `epochs` or `steps` (default: once over the run).

    factor: of the rate after each `epochs` or `steps`.
    """

    factor: float = 0.1

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        return optax.exponential_decay(1.0, self.length(steps_per_epoch, run_steps), self.factor)


@dataclass(frozen=True, kw_only=True)
class Cosine(_Timed):
    """Half a cosine from the base rate to `final` times it (Loshchilov & Hutter 2017, without restarts).

    final: of the base rate, what is left at the end.
    """

    final: float = 0.0

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        return optax.cosine_decay_schedule(1.0, self.length(steps_per_epoch, run_steps), self.final)


@dataclass(frozen=True, kw_only=True)
class OneCycle(_Timed):
    """Up from base/`divide` to the base rate, then down to base/`divide`/`final_divide` (Smith & Topin 2018).

    As torch's OneCycleLR with cosines: of n updates, number `peak` * n (from 1) has the base rate, the last the least.
    momentum: that of SGD with momentum, or Adam's b1, goes from the second value down to the first while the rate
        rises, and back up while it falls; None leaves the optimizer's own.
    peak: share of the updates at which the base rate is reached. divide: so many times the first update's rate is below
        it. final_divide: so many times the last update's rate is below the first's.
    """

    peak: float = 0.3
    divide: float = 25.0
    final_divide: float = 1e4
    momentum: tuple[float, float] | None = field(default=(0.85, 0.95), metadata=LATER)

    def check(self) -> None:
        super().check()
        if not 0 < self.peak < 1:
            raise UserError(f"OneCycle.peak: expected a share of the length in (0, 1), found {self.peak}")
        if self.momentum is not None and not 0 <= self.momentum[0] <= self.momentum[1] < 1:
            raise UserError(
                f"OneCycle.momentum: expected the least and the largest, in [0, 1), found {self.momentum}"
            )

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        low = 1 / self.divide
        return self._cycle(low, 1.0, low / self.final_divide, self.length(steps_per_epoch, run_steps))

    def main_momentum(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule | None:
        if self.momentum is None:
            return None
        least, largest = self.momentum
        return self._cycle(largest, least, largest, self.length(steps_per_epoch, run_steps))

    def _cycle(self, start: float, middle: float, end: float, length: int) -> optax.Schedule:
        """Half a cosine from `start` to `middle`, another to `end`, at the last of `length` updates."""
        turn, last = self.peak * length - 1, length - 1

        def value(step):
            up = _half_cosine(start, middle, step / max(turn, 1e-9))
            down = _half_cosine(middle, end, (step - turn) / max(last - turn, 1e-9))
            return jnp.where(step < turn, up, down)

        return value


def _half_cosine(start, end, share):
    return end + (start - end) / 2 * (1 + jnp.cos(jnp.pi * jnp.clip(share, 0, 1)))


@dataclass(frozen=True, kw_only=True)
class Plateau(Schedule):
    """The rate is multiplied by `factor` when a validation score has not improved for more than `patience` epochs.

    As torch's ReduceLROnPlateau counts. The drops are made by the training loop after each validation; until
    then the rate is the base rate.
    factor: of the rate after each drop. patience: epochs without a better score before one.
    metric: the validation score; default the one that picks the best checkpoint (`training.metric`).
    """

    # Not optax.contrib.reduce_on_plateau, which drops at the same epochs: it would keep a second best score and the
    # scale in the optimizer's state, takes only scores that fall (its rtol is wrong for negated ones), and acts in a
    # step, while validation, patience and the best checkpoint are the loop's.
    factor: float = 0.1
    patience: int = 5
    metric: str | None = field(default=None, metadata=LATER)

    def main(self, steps_per_epoch: int, run_steps: int) -> optax.Schedule:
        return optax.constant_schedule(1.0)
