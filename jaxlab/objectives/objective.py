"""`Objective`, as a config has it, and what it comes to with the data at hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.types import Kind, UserError
from jaxlab.data.source import Opened, examples
from jaxlab.heads import Head, Linear
from jaxlab.losses import Loss, Mse
from jaxlab.objectives.classification import Classification
from jaxlab.objectives.regression import Regression
from jaxlab.objectives.resolved import Resolved

KINDS: Mapping[Kind, type[Regression] | type[Classification]] = {
    one.kind: one for one in (Regression, Classification)
}


@dataclass(frozen=True, kw_only=True)
class Objective(Component):
    """What is predicted, and how a prediction is judged.

    of: the truth: "activity" for the data's targets, "label" for their classes, or else the name of one of their
        columns, which holds numbers or classes as the loss takes them. Default: what the loss is for.
    weight: of its loss in the sum over objectives.
    head: what reads the network. loss: what training makes small.
    """

    head: Head = Linear()
    loss: Loss = Mse()
    of: str | None = None
    weight: float = 1.0

    def check(self) -> None:
        if not self.weight > 0:
            raise UserError(f"Objective.weight: expected more than 0, found {self.weight}")
        KINDS[self.loss.kind].check_head(self.head)
        if self.loss.needs_rates and not self.head.rates:
            name = type(self.head).__name__
            raise UserError(
                f"loss={type(self.loss).__name__}() needs a readout of rates above 0, found head={name}(), whose "
                f"outputs are any numbers: head=Rates(head={name}(...))"
            )

    @property
    def truth(self) -> str:
        """`of`, or what the loss is for."""
        return self.of or KINDS[self.loss.kind].usual_truth


def resolved(
    objectives: Mapping[str, Objective],
    targets: Mapping[str, tuple[str, ...]],
    origins: Mapping[str, np.ndarray] | None = None,
) -> tuple[Resolved, ...]:
    """The objectives with the names of their targets or classes, in order; their outputs lie side by side.

    origins: of those that have one (`Resolved.origin`).
    A sole objective's name is nowhere in the paths of its parameters and constants.
    """
    found: list[Resolved] = []
    first = 0
    for name, objective in objectives.items():
        found.append(
            KINDS[objective.loss.kind](
                name=name,
                of=objective.truth,
                head=objective.head,
                loss=objective.loss,
                weight=objective.weight,
                targets=targets[name],
                first=first,
                prefix="" if len(objectives) == 1 else f"{name}.",
                origin=(origins or {}).get(name),
            )
        )
        first += len(targets[name])
    return tuple(found)


def targets_of(
    objectives: Mapping[str, Objective], opened: Opened, source: str
) -> dict[str, tuple[str, ...]]:
    """{objective: the names of its targets or classes}. source: the name of the data's type, for messages.

    Raises UserError where the data have no such truth, naming what they have.
    """
    return {name: _targets(name, objective, opened, source) for name, objective in objectives.items()}


def _targets(name: str, objective: Objective, opened: Opened, source: str) -> tuple[str, ...]:
    train, truth, loss = opened.train, objective.truth, objective.loss
    kind: Any = KINDS[loss.kind]
    if truth == kind.usual_truth:
        if kind.stored(train) is None:
            raise UserError(
                f"loss={type(loss).__name__}() is for {loss.kind}, but the data ({source}) are for {opened.kind}: "
                f"use loss={KINDS[opened.kind].usual_loss}"
            )
        return kind.names(opened)
    if truth in (other.usual_truth for other in KINDS.values()):
        raise UserError(
            f"objective {name!r}: of={truth!r} does not go with loss={type(loss).__name__}(), which is for {loss.kind}"
        )
    if truth not in train.columns:
        known = examples(train.columns) or "none (name them in data.columns)"
        raise UserError(
            f"objective {name!r}: the data ({source}) have no column {truth!r}; their columns: {known}"
        )
    return kind.names_in(truth, np.asarray(train.columns[truth]), f"objective {name!r}: column {truth!r}")
