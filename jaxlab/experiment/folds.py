"""An experiment once for each fold: every labelled sample is predicted by a network that did not learn it."""

from dataclasses import dataclass, replace
from typing import Self

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.data.split import GroupedSplit, KFold, RandomSplit
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.study import Study
from jaxlab.pretext import PRETEXT

MOST = 10_000  # networks to train


@dataclass(frozen=True, kw_only=True)
class Folds(Study):
    """`experiment` trained `folds` times, each time validated on another fold, which the others learn from.

    The experiment's split says how samples are dealt to folds: RandomSplit by its seed, GroupedSplit by its groups,
    KFold as it is, though its own `fold` counts for nothing.
    folds: how many parts the training samples are dealt to, 2 and more; with KFold as many as it has.
    """

    experiment: Experiment = Experiment()
    folds: int = 5

    def check(self) -> None:
        if self.folds > MOST:
            raise UserError(f"Folds.folds: expected at most {MOST:,}, found {self.folds!r:.60}")
        _ = self.split
        if next(iter(self.experiment.goals.values())).of == PRETEXT:
            raise UserError(
                f"Folds: what each fold predicts of its images is pooled and compared with the data's truth, but "
                f"pretext={type(self.experiment.pretext).__name__}() makes its own; train it once, and what follows "
                "(model.pretrained=RUN) in folds"
            )

    @property
    def split(self) -> KFold:
        """The folds, the first of them for validation. Raises UserError for a split that is no matter of folds."""
        split = self.experiment.split
        if isinstance(split, KFold):
            if split.folds != self.folds:
                raise UserError(
                    f"Folds: expected as many folds as the experiment's split, {split.folds}, found {self.folds}; give "
                    f"--folds {split.folds}, or --set split.folds={self.folds}"
                )
            return replace(split, fold=0)
        if isinstance(split, RandomSplit):
            return KFold(folds=self.folds, seed=split.seed)
        if isinstance(split, GroupedSplit):
            return KFold(folds=self.folds, seed=split.seed, column=split.column)
        raise UserError(
            f"Folds: split={type(split).__name__}(...) says itself which samples are for validation; expected "
            "KFold, RandomSplit or GroupedSplit"
        )

    def fold(self, number: int) -> Experiment:
        """The experiment that validates on fold `number`, from 0."""
        return replace(self.experiment, split=replace(self.split, fold=number))

    def variants(self) -> dict[str, Experiment]:
        return {f"fold{number}": self.fold(number) for number in range(self.folds)}

    def title(self, number: int) -> str:
        return f"fold {number + 1} of {self.folds}"

    def smoke(self) -> Self:
        """Two folds of the experiment made tiny."""
        small = self.experiment.smoke()
        return replace(self, experiment=replace(small, split=replace(self.split, folds=2)), folds=2)


def in_folds(experiment: Component, folds: int) -> Study:
    """`experiment`, or what a study varies, in so many folds. Raises UserError for one that has no use for it."""
    if isinstance(experiment, Folds):
        return replace(experiment, folds=folds)
    if isinstance(experiment, Study):
        return replace(experiment, experiment=in_folds(experiment.experiment, folds))
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"--folds {folds}: {type(experiment).__name__} has folds of its own (--set split.folds={folds}) and keeps "
            "its out-of-fold predictions already"
        )
    return Folds(experiment=experiment, folds=folds)
