"""Several losses of one objective as one."""

import math
from dataclasses import dataclass

from jaxtyping import Array, Float

from jaxlab.core.types import Kind, UserError
from jaxlab.losses.base import About, Loss, Space
from jaxlab.losses.ramp import Ramp, Weight, weight_at


@dataclass(frozen=True, kw_only=True)
class WeightedSum(Loss):
    """The sum of `losses`, each times its weight: `WeightedSum(losses=(Mse(), Spread()), weights=(1.0, 0.5))`.

    losses: two or more for the same kind of truth, in the same space.
    weights: one of each, a number or a `Ramp` over epochs; default: all 1. Evaluation takes ramps at their end.
    """

    losses: tuple[Loss, ...]
    weights: tuple[Weight, ...] = ()

    def check(self) -> None:
        names = ", ".join(type(loss).__name__ for loss in self.losses)
        if len(self.losses) < 2:
            raise UserError(f"WeightedSum.losses: expected two or more, found {names or 'none'}")
        if len({loss.kind for loss in self.losses}) > 1:
            kinds = ", ".join(f"{type(loss).__name__} is for {loss.kind}" for loss in self.losses)
            raise UserError(f"WeightedSum.losses: expected losses for the same kind of truth, found {kinds}")
        if self.kind == "regression" and len({loss.space for loss in self.losses}) > 1:
            spaces = ", ".join(f"{type(loss).__name__} compares {loss.space} targets" for loss in self.losses)
            raise UserError(
                f"WeightedSum.losses: expected losses in the same space, found {spaces.replace('units', 'unscaled')}; "
                "they can stand in two objectives"
            )
        self._check_weights(names)

    def _check_weights(self, names: str) -> None:
        if self.weights and len(self.weights) != len(self.losses):
            raise UserError(
                f"WeightedSum.weights: expected {len(self.losses)}, one for each of {names}, found {len(self.weights)}"
            )
        fixed = [weight for weight in self.weights if not isinstance(weight, Ramp)]
        if any(not 0 <= weight < math.inf for weight in fixed):
            raise UserError(f"WeightedSum.weights: expected 0 or more, found {self.weights}")
        if self.weights and sum(fixed) == 0 and len(fixed) == len(self.weights):
            raise UserError(f"WeightedSum.weights: expected one above 0, found {self.weights}")

    @property
    def kind(self) -> Kind:
        return self.losses[0].kind

    @property
    def space(self) -> Space:  # type: ignore[override]
        return self.losses[0].space

    @property
    def parts(self) -> tuple[Loss, ...]:
        return tuple(part for loss in self.losses for part in loss.parts)

    @property
    def needs_rates(self) -> bool:  # type: ignore[override]
        return any(loss.needs_rates for loss in self.losses)

    @property
    def leaves_out_missing(self) -> bool:  # type: ignore[override]
        return all(loss.leaves_out_missing for loss in self.losses)

    @property
    def needs_shares(self) -> bool:
        return any(loss.needs_shares for loss in self.losses)

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        weights = self.weights or (1.0,) * len(self.losses)
        first, *others = (
            weight_at(weight, about.epoch) * loss.rows(outputs, truth, about)
            for loss, weight in zip(self.losses, weights, strict=True)
        )
        return sum(others, start=first)
