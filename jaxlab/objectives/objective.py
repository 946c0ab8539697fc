"""`Objective`, as a config has it, and what it comes to with the data at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxlab.core.config import LATER, Component, components
from jaxlab.core.types import Kind, UserError
from jaxlab.data.source import Opened, examples
from jaxlab.heads import Head, Linear
from jaxlab.losses import Loss, Mse, Ramp, Weight
from jaxlab.objectives.answers import Answers
from jaxlab.objectives.classification import Classification
from jaxlab.objectives.regression import Regression
from jaxlab.objectives.resolved import Resolved
from jaxlab.objectives.teacher import Teacher
from jaxlab.pretext import PRETEXT

KINDS: Mapping[Kind, type[Regression] | type[Classification]] = {
    one.kind: one for one in (Regression, Classification)
}


@dataclass(frozen=True, kw_only=True)
class Objective(Component):
    """What is predicted, and how a prediction is judged.

    of: the truth: "activity" for the data's targets, "label" for their classes, "pretext" for what the experiment's
        pretext task makes of images, or else the name of one of the data's columns, which holds numbers or classes as
        the loss takes them; or a `Teacher`, another network's predictions.
        Default: what the loss is for.
    weight: of its loss in the sum over objectives; a number, or a `Ramp` over epochs. The validation loss takes a ramp
        at its end, so that epochs compare.
    learned: from that number on the weight is learned with the network (Kendall et al. 2018, eq. 10): it is exp(-s) for
        classes and exp(-s) / 2 for numbers, and s / 2 is added to the loss. s trains as the head does, without decay.
        For losses that are never below 0. The validation loss goes on with the number given.
    head: what reads the network. loss: what training makes small.
    distill: another network's predictions of the same targets or classes, matched by id and name, that are learned from
        beside the truth (Hinton, Vinyals & Dean 2015): (1 - share) * loss of the truth + share * loss of the teacher.
        Scores are of the truth.
    distill_share: that share, more than 0 and up to 1; a number, or a `Ramp` over epochs between 0 and 1.
    """

    head: Head = Linear()
    loss: Loss = Mse()
    of: str | Teacher | None = None
    weight: Weight = 1.0
    learned: bool = field(default=False, metadata=LATER)
    distill: Teacher | None = field(default=None, metadata=LATER)
    distill_share: Weight = field(default=0.5, metadata=LATER)

    def check(self) -> None:
        self._check_teachers()
        if not isinstance(self.weight, Ramp) and not 0 < self.weight < float("inf"):
            raise UserError(f"Objective.weight: expected more than 0, found {self.weight}")
        falling = [
            type(part).__name__ for part in components(self.loss) if getattr(part, "falls_below_0", False)
        ]
        if self.learned and falling:
            raise UserError(
                f"Objective: {falling[0]} falls below 0, where a learned weight grows without end: learned=True"
            )
        if self.learned and isinstance(self.weight, Ramp):
            raise UserError(
                "Objective: expected learned=True with a number to start from, or weight=Ramp(...), found both"
            )
        KINDS[self.loss.kind].check_head(self.head)
        if self.loss.needs_rates and not self.head.rates:
            name = type(self.head).__name__
            raise UserError(
                f"loss={type(self.loss).__name__}() needs a readout of rates above 0, found head={name}(), whose "
                f"outputs are any numbers: head=Rates(head={name}(...))"
            )

    def _check_teachers(self) -> None:
        for teacher in (self.teacher, self.distill):
            if teacher is not None and teacher.temperature != 1 and self.loss.kind == "regression":
                raise UserError(
                    f"Teacher.temperature: is for classes, but loss={type(self.loss).__name__}() is for numbers: "
                    f"expected 1, found {teacher.temperature}"
                )
        if self.distill is None:
            if self.distill_share != 0.5:
                raise UserError(
                    f"Objective.distill_share: expected distill=Teacher(...) beside it, found {self.distill_share} "
                    "alone"
                )
            return
        if self.teacher is not None:
            raise UserError(
                "Objective: expected one teacher, found of=Teacher(...) and distill=Teacher(...); leave of= out, or "
                "name the truth that the other stands beside"
            )
        share = self.distill_share
        highest = max(share.start, share.end) if isinstance(share, Ramp) else share
        if not 0 < highest <= 1:
            raise UserError(f"Objective.distill_share: expected more than 0 and up to 1, found {share}")

    @property
    def truth(self) -> str:
        """`of`, or what the loss is for; "teacher" of one."""
        return "teacher" if self.teacher else self.of or KINDS[self.loss.kind].usual_truth  # type: ignore[return-value]

    @property
    def teacher(self) -> Teacher | None:
        """Whose predictions are the truth itself, if anybody's."""
        return self.of if isinstance(self.of, Teacher) else None


def resolved(
    objectives: Mapping[str, Objective],
    targets: Mapping[str, tuple[str, ...]],
    origins: Mapping[str, np.ndarray] | None = None,
    missing: bool = False,
    answer_types: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Resolved, ...]:
    """The objectives with the names of their targets or classes, in order; their outputs lie side by side.

    origins: of those that have one (`Resolved.origin`). missing: whether numbers may be NaN (`Resolved.missing`).
    answer_types: of those that are answers of several people (`Resolved.answer_types`).
    A sole objective's name is nowhere in the paths of its parameters and constants.
    """
    found: list[Resolved] = []
    first = 0
    for name, objective in objectives.items():
        kinds = (answer_types or {}).get(name)
        kind = KINDS[objective.loss.kind] if kinds is None else Answers
        _check_answers(name, objective, kinds)
        found.append(
            kind(
                name=name,
                of=objective.truth,
                head=objective.head,
                loss=objective.loss,
                weight=objective.weight,
                learned=objective.learned,
                targets=targets[name],
                first=first,
                prefix="" if len(objectives) == 1 else f"{name}.",
                origin=(origins or {}).get(name),
                missing=missing and objective.loss.kind == "regression" and objective.teacher is None,
                answer_types=kinds,
                teacher=objective.teacher,
                distill=objective.distill,
                distill_share=objective.distill_share,
            )
        )
        first += len(targets[name])
    return tuple(found)


def _check_answers(name: str, objective: Objective, kinds: tuple[str, ...] | None) -> None:
    """Raises UserError for a loss of several people's answers where there are none."""
    if kinds is None and (of := [type(part).__name__ for part in objective.loss.parts if part.of_answers]):
        raise UserError(
            f"objective {name!r}: {of[0]}() learns what several people answered to each question, from the data's "
            "column 'answers' (n, a), as of VQAv2() and VizWiz(), which these data have not: loss=CrossEntropy()"
        )


def targets_of(
    objectives: Mapping[str, Objective],
    opened: Opened,
    source: str,
    missing: bool = False,
    posed: tuple[str, ...] = (),
) -> dict[str, tuple[str, ...]]:
    """{objective: the names of its targets or classes}. source: the name of the data's type, for messages.

    posed: those of the pretext task.

    missing: whether cells of a column of numbers may say that there is none.

    Raises UserError where the data have no such truth, naming what they have.
    """
    return {
        name: posed if objective.of == PRETEXT else _targets(name, objective, opened, source, missing)
        for name, objective in objectives.items()
    }


def _targets(name: str, objective: Objective, opened: Opened, source: str, missing: bool) -> tuple[str, ...]:
    train, truth, loss = opened.train, objective.truth, objective.loss
    kind: Any = KINDS[loss.kind]
    if objective.teacher is not None:
        return objective.teacher.targets(loss.kind)
    if truth == kind.usual_truth:
        if kind.stored(train) is None:
            if train.target is None and train.label is None:
                raise UserError(
                    f"the data ({source}) have images alone, and no truth for loss={type(loss).__name__}(): expected a "
                    "pretext task (pretext=Rotation()), or a teacher (Objective(of=Teacher(...)))"
                )
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
    where = f"objective {name!r}: column {truth!r}"
    return kind.names_in(truth, np.asarray(train.columns[truth]), where, missing)
