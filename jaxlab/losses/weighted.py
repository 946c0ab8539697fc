"""Several losses of one objective as one."""

import math
import re
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

    Each epoch's record has every one of them without its weight, as `loss/mse` and `loss/spread`; of a ramp that of
    training has the weight, too, `loss/spread/weight`.
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
        if len({loss.of_answers for loss in self.losses}) > 1:
            soft = ", ".join(type(loss).__name__ for loss in self.losses if loss.of_answers)
            raise UserError(
                f"WeightedSum.losses: expected losses of the same truth, found {names}, of which {soft} takes what "
                "several people answered, and others labels; they can stand in two objectives"
            )
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
    def of_answers(self) -> bool:  # type: ignore[override]
        return any(loss.of_answers for loss in self.losses)

    @property
    def needs_shares(self) -> bool:
        return any(loss.needs_shares for loss in self.losses)

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(
            term
            for name, loss, _ in self._named()
            for term in (name, *(f"{name}.{within}" for within in loss.terms))
        )

    def _named(self) -> list[tuple[str, Loss, Weight]]:
        """Each loss with its name, which is that of its type, numbered where another has it, and its weight."""
        names: list[str] = []
        for loss in self.losses:
            name = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", type(loss).__name__).lower()
            numbered = (f"{name}_{number}" for number in range(2, len(names) + 3))
            names.append(name if name not in names else next(one for one in numbered if one not in names))
        return list(zip(names, self.losses, self.weights or (1.0,) * len(self.losses), strict=True))

    def rows(self, outputs: Float[Array, "b t"], truth: Array, about: About) -> Float[Array, " b"]:
        return self._added(outputs, truth, about)[0]

    def told(
        self, outputs: Float[Array, "b t"], truth: Array, about: About
    ) -> tuple[Array, dict[str, Array]]:
        return self._added(outputs, truth, about)

    def _added(
        self, outputs: Float[Array, "b t"], truth: Array, about: About
    ) -> tuple[Array, dict[str, Array]]:
        terms: dict[str, Array] = {}
        weighted: list[Array] = []
        for name, loss, weight in self._named():
            terms[name], within = loss.told(outputs, truth, about)
            terms |= {f"{name}.{term}": rows for term, rows in within.items()}
            weighted.append(weight_at(weight, about.epoch) * terms[name])
        return sum(weighted[1:], start=weighted[0]), terms

    def changing(self, epoch: Float[Array, ""] | float) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, loss, weight in self._named():
            if isinstance(weight, Ramp):
                found[name] = weight.at(epoch)
            found |= {f"{name}.{term}": value for term, value in loss.changing(epoch).items()}
        return found
